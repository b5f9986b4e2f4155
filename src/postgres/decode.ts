// pgoutput protocol 1, message by message, into stream events. Owns the wire format; guarantees that only wanted columns
// are decoded, as the server's own text (no type parser ever touches them), and that an unchanged TOAST value is never
// NULL. Leaves the meaning of a change to core.
// https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
import { SuprsyncError } from '../core/error.ts'
import { lsnFromParts } from '../core/lsn.ts'
import { isComplete, type RawRow, type RawValue, REREAD, type Table, type TextRow, UNCHANGED } from '../core/row.ts'
import type { StreamEvent } from '../core/stream-event.ts'
import { layOver, type RelationColumn } from './relation.ts'

/** Microseconds between 1970 and 2000, where PostgreSQL's clock starts. */
const POSTGRES_EPOCH_MS = 946_684_800_000

interface Relation {
  readonly table: Table
  /** For each column of the tuple on the wire: its place in `table.wanted`, or -1 when nobody wants it. */
  readonly places: readonly number[]
}

export class PgoutputDecoder {
  readonly #tables: ReadonlyMap<number, Table>
  readonly #relations = new Map<number, Relation>()
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(tables: readonly Table[]) {
    this.#tables = new Map(tables.map((table) => [table.oid, table]))
  }

  /** @returns null for messages that carry nothing for us (other tables, types, origins). */
  decode(buffer: Buffer): StreamEvent | null {
    this.#buffer = buffer
    this.#at = 1
    switch (buffer[0]) {
      case 0x42: // B
        return this.#begin()
      case 0x43: // C
        this.#at += 1 + 8
        return { kind: 'commit', endLsn: this.#lsn() }
      case 0x52: // R
        return this.#relation()
      case 0x49: // I
        return this.#insert()
      case 0x55: // U
        return this.#update()
      case 0x44: // D
        return this.#delete()
      case 0x54: // T
        return this.#truncate()
      case 0x59: // Y: types are resolved from the catalogue
      case 0x4f: // O: origins do not matter
      case 0x4d: // M: messages are not asked for
        return null
      default:
        throw new SuprsyncError('protocol_unknown_message', 'The replication stream sent a message we do not know.', {
          details: { tag: buffer[0] ?? -1 },
        })
    }
  }

  #begin(): StreamEvent {
    const commitLsn = this.#lsn()
    const committedAt = POSTGRES_EPOCH_MS + Number(this.#buffer.readBigInt64BE(this.#at) / 1000n)
    return { kind: 'begin', commitLsn, committedAt, xid: this.#buffer.readUInt32BE(this.#at + 8) }
  }

  #relation(): StreamEvent | null {
    const oid = this.#oid()
    const schema = this.#text()
    const name = this.#text()
    const table = this.#tables.get(oid)
    if (!table) {
      for (const followed of this.#tables.values())
        if (followed.schema === schema && followed.name === name)
          return { kind: 'namesake', table: `${schema}.${name}` }
      return null
    }
    this.#at += 1 // replica identity: decided by check
    const columns: RelationColumn[] = []
    for (let left = this.#int16(); left > 0; left -= 1) {
      const identity = (this.#byte() & 1) === 1
      columns.push({ identity, name: this.#text(), typeOid: this.#oid() })
      this.#at += 4 // type modifier
    }
    const { places, changed } = layOver(table, columns)
    this.#relations.set(oid, { table, places })
    return changed.length > 0 ? { kind: 'reshaped', table: oid, columns: changed } : null
  }

  #insert(): StreamEvent | null {
    const oid = this.#oid()
    const relation = this.#relations.get(oid)
    if (!relation) return null
    this.#at += 1 // 'N'
    return { kind: 'insert', table: oid, row: this.#tuple(relation) }
  }

  #update(): StreamEvent | null {
    const oid = this.#oid()
    const relation = this.#relations.get(oid)
    if (!relation) return null
    const tag = this.#byte()
    const old = tag === 0x4e ? null : this.#tuple(relation)
    if (old) this.#at += 1 // 'N'
    const row = this.#tuple(relation)
    if (!old) return { kind: 'update', table: oid, oldKey: null, row }
    // Only a full old tuple ('O') knows the other columns; a key tuple ('K') carries nulls for them.
    const known = tag === 0x4f ? row.length : relation.table.key.length
    const resolved = row.map((value, index) => (value === UNCHANGED && index < known ? (old[index] ?? null) : value))
    const oldKey = keyOf(relation.table, old)
    const moved = oldKey.some((value, index) => value !== resolved[index])
    return { kind: 'update', table: oid, oldKey: moved ? oldKey : null, row: resolved }
  }

  #delete(): StreamEvent | null {
    const oid = this.#oid()
    const relation = this.#relations.get(oid)
    if (!relation) return null
    this.#at += 1 // 'K' or 'O'
    return { kind: 'delete', table: oid, key: keyOf(relation.table, this.#tuple(relation)) }
  }

  #truncate(): StreamEvent | null {
    const count = this.#oid()
    this.#at += 1 // options
    const tables: number[] = []
    for (let index = 0; index < count; index += 1) {
      const oid = this.#oid()
      if (this.#tables.has(oid)) tables.push(oid)
    }
    return tables.length > 0 ? { kind: 'truncate', tables } : null
  }

  #tuple({ table, places }: Relation): RawRow {
    const row: RawValue[] = new Array(table.wanted.length).fill(REREAD)
    const count = this.#int16()
    for (let index = 0; index < count; index += 1) {
      const place = places[index] ?? -1
      const kind = this.#byte()
      if (kind === 0x74) {
        const size = this.#buffer.readInt32BE(this.#at)
        const from = this.#at + 4
        this.#at = from + size
        if (place >= 0) row[place] = this.#buffer.toString('utf8', from, this.#at)
      } else if (kind === 0x6e) {
        if (place >= 0) row[place] = null
      } else if (kind === 0x75) {
        if (place >= 0) row[place] = UNCHANGED
      } else {
        throw new SuprsyncError(
          'protocol_unknown_value',
          'The replication stream sent a value in a form we did not ask for.',
          {
            details: { kind },
          },
        )
      }
    }
    return row
  }

  #byte(): number {
    const value = this.#buffer.readUInt8(this.#at)
    this.#at += 1
    return value
  }

  #int16(): number {
    const value = this.#buffer.readInt16BE(this.#at)
    this.#at += 2
    return value
  }

  #oid(): number {
    const value = this.#buffer.readUInt32BE(this.#at)
    this.#at += 4
    return value
  }

  #lsn() {
    const value = lsnFromParts(this.#buffer.readUInt32BE(this.#at), this.#buffer.readUInt32BE(this.#at + 4))
    this.#at += 8
    return value
  }

  #text(): string {
    const from = this.#at
    this.#skipText()
    return this.#buffer.toString('utf8', from, this.#at - 1)
  }

  #skipText(): void {
    this.#at = this.#buffer.indexOf(0, this.#at) + 1
  }
}

function keyOf(table: Table, row: RawRow): TextRow {
  const key = row.slice(0, table.key.length)
  if (isComplete(key) && !key.includes(null)) return key
  throw new SuprsyncError(
    'protocol_key_missing',
    `A change of ${table.schema}.${table.name} does not name its row: the replica identity no longer covers the primary key.`,
    {
      details: { table: `${table.schema}.${table.name}` },
    },
  )
}
