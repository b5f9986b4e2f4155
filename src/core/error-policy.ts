// The one table of what an answer of SuprSend leads to: code → retry | set aside | stop, with the sentence a person reads
// and what to do next. Owns the words; docs/delivery-errors.md is the same table for operators, and a test compares them.
// No sentence ever contains anything the server said (P8). Which answer has which code is decided in outcome.ts.

export interface Policy {
  readonly action: 'retry' | 'set aside' | 'stop'
  readonly message: string
  readonly nextStep: string
}

export const ERROR_POLICY = {
  // Nothing came back.
  unreachable: {
    action: 'retry',
    message: 'SuprSend cannot be reached',
    nextStep: 'If it does not pass, check suprsend.base_url, DNS, the firewall and the proxy.',
  },
  no_answer: {
    action: 'retry',
    message: 'the connection ended or timed out before the answer came',
    nextStep: 'The whole profile is sent again by itself.',
  },
  aborted: {
    action: 'retry',
    message: 'the request was given up on our side before the answer came',
    nextStep: 'The whole profile is sent again by itself.',
  },
  // Passing trouble.
  rate_limited: {
    action: 'retry',
    message: 'SuprSend asks to slow down',
    nextStep: 'If it does not pass, lower suprsend.max_requests_per_second.',
  },
  busy: {
    action: 'retry',
    message: 'SuprSend could not take the request at this moment',
    nextStep: 'It is tried again by itself.',
  },
  server_error: {
    action: 'retry',
    message: 'SuprSend failed on the request',
    nextStep: 'If it does not pass, look at status.suprsend.com and contact SuprSend.',
  },
  transient: {
    action: 'retry',
    message: 'SuprSend reported passing trouble of its own storage',
    nextStep: 'If it does not pass, contact SuprSend.',
  },
  // Something between us and the API answered.
  redirected: {
    action: 'retry',
    message: 'the answer was a redirect, which is never followed',
    nextStep: 'Set suprsend.base_url to where the API is, with https.',
  },
  not_the_api: {
    action: 'retry',
    message: 'the answer did not come from the user API',
    nextStep:
      'Check suprsend.base_url: host and path prefix. For one user alone: its distinct_id may be unfit for a URL.',
  },
  gateway_refused: {
    action: 'retry',
    message: 'a gateway before SuprSend refused the request',
    nextStep: 'For all users: have your address allowed. For one user: a text in its profile looks like an attack.',
  },
  // This user's own trouble.
  invalid_value: {
    action: 'set aside',
    message: 'SuprSend refused a value',
    nextStep: 'Mend the value in its row, or the mapping, then `suprsync failed retry --code invalid_value`.',
  },
  invalid_request: {
    action: 'set aside',
    message: 'SuprSend refused the profile',
    nextStep:
      "Find the reason in SuprSend's request log, mend the row or the mapping, then `suprsync failed retry --code invalid_request`.",
  },
  too_large: {
    action: 'set aside',
    message: 'SuprSend found the profile too large',
    nextStep: 'Map fewer or smaller properties, then `suprsync failed retry --code too_large`.',
  },
  not_found: {
    action: 'set aside',
    message: 'SuprSend answered that something the request needs does not exist',
    nextStep: "Find the reason in SuprSend's request log, then `suprsync failed retry --code not_found`.",
  },
  secret_missing: {
    action: 'set aside',
    message: 'this sender does not know a secret that the profile needs; nothing was sent',
    nextStep:
      'Give every process the same environment variables and restart it, then `suprsync failed retry --code secret_missing`.',
  },
  // Every user's trouble: nobody is set aside.
  unauthorized: {
    action: 'stop',
    message: 'SuprSend does not accept the API key',
    nextStep:
      'Set suprsend.api_key to a valid key of the right workspace. Sending resumes by itself if the key is revived.',
  },
  forbidden: {
    action: 'stop',
    message: 'the API key may not write users',
    nextStep:
      "Use a key of this workspace with access to users. Sending resumes by itself once it is allowed. For one user alone: find the reason in SuprSend's request log, then `suprsync failed retry`.",
  },
  payment_required: {
    action: 'stop',
    message: 'SuprSend refuses requests of this account until it is paid',
    nextStep: 'Settle the account. Sending resumes by itself.',
  },
} as const satisfies { readonly [code: string]: Policy }

export type DeliveryCode = keyof typeof ERROR_POLICY
