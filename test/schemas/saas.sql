-- A multi-tenant application: uuid keys, members of organisations, devices that are revoked rather than deleted, and several
-- e-mail addresses a user, one of them primary.
CREATE TYPE public.user_status AS ENUM ('invited', 'active', 'suspended');
CREATE TABLE public.organizations (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  name text NOT NULL,
  slug text NOT NULL UNIQUE,
  created_at timestamptz DEFAULT now() NOT NULL
);
CREATE TABLE public.users (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES public.organizations (id),
  full_name text NOT NULL,
  phone text,
  country_code char(2),
  timezone text,
  language text,
  status public.user_status DEFAULT 'invited' NOT NULL,
  password_hash text NOT NULL,
  mfa_secret text,
  avatar bytea,
  settings jsonb DEFAULT '{}' NOT NULL,
  whatsapp_opt_in boolean DEFAULT false NOT NULL,
  is_active boolean DEFAULT true NOT NULL,
  last_seen_at timestamptz,
  created_at timestamptz DEFAULT now() NOT NULL,
  deleted_at timestamptz
);
CREATE TABLE public.organization_members (
  organization_id uuid NOT NULL REFERENCES public.organizations (id),
  user_id uuid NOT NULL REFERENCES public.users (id),
  role text NOT NULL,
  PRIMARY KEY (organization_id, user_id)
);
CREATE TABLE public.user_emails (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  email text NOT NULL UNIQUE,
  is_primary boolean DEFAULT false NOT NULL,
  verified_at timestamptz
);
CREATE UNIQUE INDEX user_emails_one_primary ON public.user_emails (user_id) WHERE is_primary;
CREATE TABLE public.user_devices (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  platform text NOT NULL CHECK (platform IN ('ios', 'android', 'web')),
  token text NOT NULL,
  app_version text,
  last_seen_at timestamptz,
  revoked_at timestamptz,
  UNIQUE (platform, token)
);
CREATE TABLE public.sessions (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  token text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE TABLE public.invoices (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES public.organizations (id),
  customer_email text NOT NULL,
  total numeric(12, 2) NOT NULL
);
