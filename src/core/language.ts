// Languages and locales: ISO 639-1 codes and BCP 47 tags in canonical case. `en_US` (POSIX, Java) counts as `en-US`.

/** ISO 639-1, two letters each. */
const CODES =
  'aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es ' +
  'et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj ' +
  'kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ' +
  'ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti ' +
  'tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu'
const LANGUAGES: ReadonlySet<string> = new Set(CODES.split(' '))

/** Codes that ISO 639 replaced and that old Java still prints. */
const REPLACED: ReadonlyMap<string, string> = new Map([
  ['iw', 'he'],
  ['in', 'id'],
  ['ji', 'yi'],
])

/** The two letters of `en`, `EN`, `en-US`, `en_US`; null when they are no ISO 639-1 code. */
export function languageCode(text: string): string | null {
  const separator = text.charAt(2)
  if (text.length < 2 || (separator !== '' && separator !== '-' && separator !== '_')) return null
  const letters = text.slice(0, 2).toLowerCase()
  const code = REPLACED.get(letters) ?? letters
  return LANGUAGES.has(code) ? code : null
}

const languageNames = new Intl.DisplayNames('en', { type: 'language', fallback: 'none' })
const regionNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })

/** Intl takes seconds to read a long one, and no locale has that many extensions. */
const MAX_LOCALE = 128

/** `EN_us` → `en-US`, `zh-hant-tw` → `zh-Hant-TW`; extensions are dropped. Null when language or region do not exist. */
export function canonicalLocale(text: string): string | null {
  if (text.length > MAX_LOCALE) return null
  try {
    const { language, script, region } = new Intl.Locale(text.replaceAll('_', '-'))
    if (!LANGUAGES.has(language) && languageNames.of(language) === undefined) return null
    if (region !== undefined && regionNames.of(region) === undefined) return null
    return [language, script, region].filter((part) => part !== undefined).join('-')
  } catch {
    // RangeError: not well-formed, or a tag that no language has: of `und`, "not known", Intl tells no name.
    return null
  }
}
