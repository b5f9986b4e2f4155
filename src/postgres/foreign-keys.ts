// Foreign keys of a table, as one JSON text: the same for `init`, which looks at all tables, and for those that are followed.

/** In SQL, of `pg_class c`: a list of core's ForeignKey. */
export const FOREIGN_KEYS = `
  coalesce((SELECT json_agg(json_build_object(
              'columns', ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY x(attnum, position)
                               JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.attnum
                               ORDER BY x.position),
              'target', json_build_object('schema', fn.nspname, 'name', f.relname),
              'targetColumns', ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY x(attnum, position)
                                     JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.attnum
                                     ORDER BY x.position)) ORDER BY k.conname)
            FROM pg_catalog.pg_constraint k
            JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
            JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
            WHERE k.conrelid = c.oid AND k.contype = 'f'), '[]')`
