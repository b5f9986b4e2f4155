-- A Rails application with Devise: what `rails db:schema:dump` gives as structure.sql, much shortened. Integer enums, zone
-- names of Rails, confirmable and lockable users, and, as is usual there, some references without a foreign key.
CREATE TABLE public.schema_migrations (version character varying NOT NULL PRIMARY KEY);
CREATE TABLE public.ar_internal_metadata (
  key character varying NOT NULL PRIMARY KEY,
  value character varying,
  created_at timestamp(6) without time zone NOT NULL,
  updated_at timestamp(6) without time zone NOT NULL
);
CREATE TABLE public.organizations (
  id bigserial PRIMARY KEY,
  name character varying NOT NULL,
  billing_email character varying,
  created_at timestamp(6) without time zone NOT NULL,
  updated_at timestamp(6) without time zone NOT NULL
);
CREATE TABLE public.users (
  id bigserial PRIMARY KEY,
  organization_id bigint REFERENCES public.organizations (id),
  email character varying DEFAULT ''::character varying NOT NULL,
  encrypted_password character varying DEFAULT ''::character varying NOT NULL,
  reset_password_token character varying,
  reset_password_sent_at timestamp(6) without time zone,
  remember_created_at timestamp(6) without time zone,
  sign_in_count integer DEFAULT 0 NOT NULL,
  current_sign_in_at timestamp(6) without time zone,
  last_sign_in_at timestamp(6) without time zone,
  current_sign_in_ip inet,
  last_sign_in_ip inet,
  confirmation_token character varying,
  confirmed_at timestamp(6) without time zone,
  confirmation_sent_at timestamp(6) without time zone,
  unconfirmed_email character varying,
  failed_attempts integer DEFAULT 0 NOT NULL,
  unlock_token character varying,
  locked_at timestamp(6) without time zone,
  otp_secret character varying,
  api_key character varying,
  first_name character varying,
  last_name character varying,
  phone_number character varying,
  time_zone character varying DEFAULT 'UTC'::character varying,
  locale character varying(10),
  role integer DEFAULT 0 NOT NULL,
  status integer DEFAULT 0 NOT NULL,
  plan character varying,
  preferences jsonb DEFAULT '{}'::jsonb NOT NULL,
  discarded_at timestamp(6) without time zone,
  created_at timestamp(6) without time zone NOT NULL,
  updated_at timestamp(6) without time zone NOT NULL
);
CREATE UNIQUE INDEX index_users_on_email ON public.users USING btree (email);
CREATE UNIQUE INDEX index_users_on_reset_password_token ON public.users USING btree (reset_password_token);
CREATE UNIQUE INDEX index_users_on_confirmation_token ON public.users USING btree (confirmation_token);
CREATE TABLE public.mobile_devices (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL,
  platform character varying NOT NULL,
  push_token character varying NOT NULL,
  created_at timestamp(6) without time zone NOT NULL,
  updated_at timestamp(6) without time zone NOT NULL
);
CREATE INDEX index_mobile_devices_on_user_id ON public.mobile_devices USING btree (user_id);
CREATE TABLE public.posts (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES public.users (id),
  title character varying,
  body text
);
CREATE TABLE public.api_tokens (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES public.users (id),
  token character varying NOT NULL
);
