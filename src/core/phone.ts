// Phone numbers in E.164. A number passes when its country exists and its length is one that the country uses. Whether its
// range is assigned is not asked: that metadata ages with our release, and refusing a real number is worse than sending a
// dead one. The only file that imports libphonenumber-js.
import { type CountryCode, isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/min'

/** ISO 3166-1 alpha-2, upper case, of a country that has phone numbers. */
export function isRegion(code: string): code is CountryCode {
  return isSupportedCountry(code)
}

/** `region` is the country of national numbers (`098765 43210`); without it only `+…` is accepted. */
export function canonicalPhone(text: string, region: string | null): string | null {
  const defaultCountry = region !== null && isRegion(region) ? region : undefined
  // extract: false refuses a number inside other text ("call me: +1 …") instead of guessing.
  const options = defaultCountry === undefined ? { extract: false } : { extract: false, defaultCountry }
  const number = parsePhoneNumberFromString(text, options)
  // An extension cannot be texted, and dropping it would reach a switchboard.
  return number?.isPossible() === true && number.ext === undefined ? number.number : null
}
