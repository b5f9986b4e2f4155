// Whether a time zone, locale or language is one the API accepts. Stricter than Intl, which also takes `EST`, offsets
// and any case: SuprSend is known to reject those. Results of the slow Intl look-ups are kept for names that exist.

const languages = new Intl.DisplayNames('en', { type: 'language', fallback: 'none' })
const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
const ZONE = /^[A-Z][A-Za-z_]+(?:\/[A-Z][A-Za-z0-9_+-]*)+$/
const LOCALE = /^([a-z]{2,3})(?:[-_][A-Z][a-z]{3})?(?:[-_]([A-Z]{2}|[0-9]{3}))?$/
const knownZones = new Set(['UTC', 'GMT'])

/** `Asia/Kolkata`, `Etc/GMT+5`, `UTC`; not `EST`, `UTC+5:30` or `asia/kolkata`. */
export function isTimeZone(name: string): boolean {
  if (knownZones.has(name)) return true
  if (!ZONE.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
  } catch {
    // A RangeError is Intl's way of saying no.
    return false
  }
  knownZones.add(name)
  return true
}

/** `en`, `en-GB`, `en_GB`, `zh-Hant-TW`, `es-419`: the documents use both separators. */
export function isLocale(tag: string): boolean {
  const [, language, region] = LOCALE.exec(tag) ?? []
  return language !== undefined && isKnown(languages, language) && (region === undefined || isKnown(regions, region))
}

/** ISO 639-1, two letters; the API's own advice also takes `en-US`. */
export function isLanguage(tag: string): boolean {
  return /^[a-z]{2}(?:[-_][A-Z]{2})?$/.test(tag) && isLocale(tag)
}

function isKnown(names: Intl.DisplayNames, code: string): boolean {
  const name = names.of(code)
  return name !== undefined && name !== 'Unknown Region'
}
