-- Users who are to be erased (`suprsync erase`): deleted in SuprSend whatever user.on_delete says.
ALTER TABLE profile ADD COLUMN erase boolean NOT NULL DEFAULT false;
