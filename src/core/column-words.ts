// Names of columns and tables as words, however an application spells them: phoneNumber, PhoneNumber and phone_number are
// one. And a column's name as an expression reads it.
import { expressionColumns, parseExpression } from './expression.ts'

/** `phoneNumber` → `phone_number`, `APNSToken` → `apns_token`, `Work E-Mail` → `work_e_mail`. */
export function words(name: string): string {
  return name
    .replace(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, '$1_$2')
    .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1_$2')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .replace(/^_+|_+$/g, '')
}

/** `users` → `user`, `people` → `person`, `addresses` → `address`, of the last word. */
export function singular(text: string): string {
  if (/(^|_)people$/.test(text)) return text.replace(/people$/, 'person')
  if (/(ss|x|ch|sh)es$/.test(text)) return text.slice(0, -2)
  if (text.endsWith('ies')) return `${text.slice(0, -3)}y`
  return text.endsWith('s') && !text.endsWith('ss') ? text.slice(0, -1) : text
}

/** The column in CEL: by its name where that is an identifier CEL leaves free, else `row["any name"]`. */
export function inExpression(column: string): string {
  const bare = /^[A-Za-z_]\w*$/.test(column) && parseExpression(column).kind === 'ok'
  if (bare && expressionColumns(column).includes(column)) return column
  return `row[${JSON.stringify(column)}]`
}
