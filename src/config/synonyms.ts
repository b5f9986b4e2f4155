// What the file's own words are called elsewhere: a key or a word that is not known is answered with the one that was meant, even
// where no letter of it is right.
import { suggestion } from '../core/nearest.ts'

/** The names of the file first, then what else they are called. */
const WORDS: readonly (readonly [readonly string[], readonly string[]])[] = [
  [
    ['$sms', 'e164'],
    ['phone', 'mobile', 'phone_number', 'tel'],
  ],
  [
    ['$email', 'email'],
    ['mail', 'e-mail', 'e_mail'],
  ],
  [
    ['$androidpush', 'fcm'],
    ['push', 'fcm', 'android', 'firebase', 'fcm_token'],
  ],
  [
    ['$iospush', 'apns'],
    ['apns', 'ios', 'apple', 'apn'],
  ],
  [['$webpush'], ['web', 'browser', 'vapid']],
  [['$ms_teams'], ['teams', 'msteams']],
  [
    ['$timezone', 'timezone'],
    ['tz', 'time_zone'],
  ],
  [
    ['$preferred_language', 'language'],
    ['language', 'lang'],
  ],
  [['lower'], ['lowercase', 'downcase', 'tolower']],
  [['trim'], ['strip']],
  [['iso8601'], ['date', 'datetime', 'timestamp', 'iso']],
  [['number'], ['int', 'integer', 'float', 'decimal', 'numeric']],
  [['boolean'], ['bool']],
  [['string'], ['text', 'str']],
  [['delete'], ['remove', 'hard', 'destroy']],
  [['clear'], ['soft', 'unset']],
  [['keep'], ['ignore', 'none', 'nothing']],
]

/** ` (did you mean "$sms"?)`, or nothing. */
export function meantAmong(word: string, known: readonly string[]): string {
  const bare = word.toLowerCase().replace(/^\$/, '')
  const names = WORDS.flatMap(([meanings, words]) => (words.includes(bare) ? meanings : []))
  const meant = names.find((name) => known.includes(name))
  return meant === undefined ? suggestion(word, known) : ` (did you mean "${meant}"?)`
}
