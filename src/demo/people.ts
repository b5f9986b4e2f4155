// Invented people and what they do to their own data. Addresses are of example.com, telephone numbers of the ranges that
// the regulators keep free for fiction, so that nobody can be reached by accident. Pure: chance comes in as a function,
// and `next` counts on, so that no two edits of a run set the same address.

export interface Person {
  readonly name: string
  readonly email: string
  /** As people type it: national, with blanks. */
  readonly phone: string | null
  readonly country: Country
  readonly timezone: string
  readonly locale: string
  readonly plan: string
}

export interface Edit {
  /** The columns that the UPDATE sets. */
  readonly set: Partial<Person>
  /** For the reader: `email → elin7@example.com`. */
  readonly detail: string
}

export interface Chance {
  /** From 0 to below 1. */
  readonly random: () => number
  /** 1, 2, 3, … */
  readonly next: () => number
}

type Country = 'US' | 'GB' | 'CA' | 'FR' | 'DE'

const FIRST =
  'Aiko Amara Anton Bruno Chloe Dalia Elin Farid Greta Hugo Imani Jonas Kavya Lena Mateo Nadia Oskar Priya Rosa Samir'
const LAST =
  'Abbott Berger Castell Dubois Eriksen Fontaine Garrick Hollis Ibsen Jansen Keller Lindqvist Moreau Novak Okafor Petit'
const PLANS = ['free', 'pro', 'team']

const HOMES: Readonly<Record<Country, { readonly zone: string; readonly locale: string; readonly phone: PhoneMaker }>> =
  {
    US: { zone: 'America/New_York', locale: 'en-US', phone: (n) => `(202) 555-01${digits(n, 2)}` },
    CA: { zone: 'America/Toronto', locale: 'fr-CA', phone: (n) => `604-555-01${digits(n, 2)}` },
    GB: { zone: 'Europe/London', locale: 'en-GB', phone: (n) => `07700 900${digits(n, 3)}` },
    FR: { zone: 'Europe/Paris', locale: 'fr-FR', phone: (n) => `06 39 98 ${digits(n, 4)}` },
    DE: { zone: 'Europe/Berlin', locale: 'de-DE', phone: (n) => `0171 39200${digits(n, 2)}` },
  }
type PhoneMaker = (n: number) => string
const COUNTRIES = Object.keys(HOMES) as readonly Country[]
const ZONES = ['Asia/Kolkata', 'Asia/Tokyo', 'America/Sao_Paulo', 'Africa/Nairobi', 'Pacific/Auckland', 'Europe/Rome']

export function newPerson(chance: Chance): Person {
  const name = `${pick(chance, FIRST.split(' '))} ${pick(chance, LAST.split(' '))}`
  const country = pick(chance, COUNTRIES)
  const { zone, locale, phone } = HOMES[country]
  return {
    name,
    email: address(name, chance),
    phone: chance.random() < 0.8 ? phone(chance.next()) : null,
    country,
    timezone: zone,
    locale,
    plan: pick(chance, PLANS),
  }
}

/** Something the person changes; never to the value it had. */
export function newEdit(person: Person, chance: Chance): Edit {
  const kind = chance.random()
  if (kind < 0.4) {
    const email = address(person.name, chance)
    return { set: { email }, detail: `email → ${email}` }
  }
  if (kind < 0.75) return phoneEdit(person, chance)
  if (kind < 0.85) {
    const timezone = other(chance, ZONES, person.timezone)
    return { set: { timezone }, detail: `timezone → ${timezone}` }
  }
  if (kind < 0.92) {
    const country = other(chance, COUNTRIES, person.country)
    const { zone, locale, phone } = HOMES[country]
    return {
      set: { country, timezone: zone, locale, phone: phone(chance.next()) },
      detail: `moves to ${country}: phone, timezone, locale`,
    }
  }
  const plan = other(chance, PLANS, person.plan)
  return { set: { plan }, detail: `plan → ${plan}` }
}

function phoneEdit(person: Person, chance: Chance): Edit {
  if (person.phone === null || chance.random() < 0.6) {
    const phone = HOMES[person.country].phone(chance.next())
    return { set: { phone }, detail: `phone → ${phone} (${person.country})` }
  }
  // What a form without a check lets through: that value alone is left out of the profile.
  if (person.phone !== NO_NUMBER && chance.random() < 0.4)
    return { set: { phone: NO_NUMBER }, detail: `phone → '${NO_NUMBER}'` }
  return { set: { phone: null }, detail: 'phone → NULL' }
}

const NO_NUMBER = 'ask me'

function address(name: string, { next }: Chance): string {
  return `${name.toLowerCase().split(' ', 1)[0]}${next()}@example.com`
}

/** `Elin F.` */
export function shortName({ name }: Person): string {
  const [first = '', last = ''] = name.split(' ')
  return `${first} ${last.charAt(0)}.`
}

function digits(n: number, count: number): string {
  return String(n % 10 ** count).padStart(count, '0')
}

function other<T>(chance: Chance, from: readonly T[], than: T): T {
  return pick(
    chance,
    from.filter((item) => item !== than),
  )
}

export function pick<T>({ random }: Pick<Chance, 'random'>, from: readonly T[]): T {
  const item = from[Math.floor(random() * from.length)]
  if (item === undefined) throw new RangeError('nothing to pick from')
  return item
}

/** mulberry32: the same people and edits in every run of a seed. */
export function seededChance(seed: number): Chance {
  let state = seed
  let count = 0
  return {
    random: () => {
      state = (state + 0x6d2b79f5) | 0
      let t = Math.imul(state ^ (state >>> 15), 1 | state)
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
      return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
    },
    next: () => {
      count += 1
      return count
    },
  }
}
