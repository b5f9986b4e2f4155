// Whether a phone number parses as E.164 the way the API's server parses it: a plus, a known calling code, a plausible
// length. Not whether such a number can exist: the API page's own example could not. Calling codes come from
// libphonenumber-js once, because a full parse per value (17 µs) would be a third of a request in a throughput bench.
import { parsePhoneNumberFromString } from 'libphonenumber-js/min'

const E164 = /^\+[1-9]\d{6,14}$/
const callingCodes = new Set<string>()

export function isE164(text: string): boolean {
  if (!E164.test(text)) return false
  if (callingCodes.size === 0) learnCallingCodes()
  return [2, 3, 4].some((end) => callingCodes.has(text.slice(1, end)))
}

function learnCallingCodes(): void {
  for (let code = 1; code <= 999; code++) {
    const parsed = parsePhoneNumberFromString(`+${code}23456789`, { extract: false })
    if (parsed?.countryCallingCode === String(code)) callingCodes.add(String(code))
  }
}
