// A proposal as the mapping file that an engineer goes on with: each guess beside its reason, what was not sure enough as a
// comment that only has to be switched on. Holds no credential: the URL and the key stay in the environment.
import type { Proposal, ProposedChild, ProposedLine, ProposedPart, Written } from '../core/proposal.ts'
import type { QualifiedName } from '../core/survey.ts'
import { comment, entry, entryOff, scalar } from './yaml-text.ts'

const HEAD = `# suprsync: which rows of the database become which SuprSend profiles. Proposed by \`suprsync init\` from names and types in the
# catalogue; no row was read. Every guess says why. Lines that are commented out are right, but for you to decide. Then:
#   suprsync check    what is missing, with the SQL that mends it
#
# \${VAR} and \${VAR:-default} are replaced from the environment. docs/mapping.md explains every key.`

/** Ends with a newline. */
export function mappingFile(proposal: Proposal): string {
  const { table, distinctId } = proposal
  const blocks = [
    HEAD,
    'version: 1',
    [
      'source:',
      `  url: \${DATABASE_URL} # a direct connection: replication does not pass a pooler`,
      entry('table', tableText(table), { indent: 2, why: proposal.why }),
    ],
    ['suprsend:', `  api_key: \${SUPRSEND_API_KEY}`, `  base_url: \${SUPRSEND_BASE_URL:-https://hub.suprsend.com}`],
    [
      'user:',
      entry('distinct_id', distinctId.column, {
        indent: 2,
        why: `${distinctId.why}; the user's name in SuprSend for good`,
      }),
      ...whenLines(proposal, 2),
      ...proposal.whenHints.map((hint) =>
        entryOff('when', hint, { indent: 2, why: 'instead, if only such rows are users' }),
      ),
      '  on_delete: delete # delete | clear (remove what suprsync sent) | keep',
    ],
    profileLines(proposal.profile, 0),
    ...withheldBlock(proposal.withheld),
    ...childrenBlocks(proposal.children),
  ]
  return `${blocks.map((block) => (typeof block === 'string' ? block : block.join('\n'))).join('\n\n')}\n`
}

/** As the file and SQL write it: quoted only where it has to be. */
export function tableText({ schema, name }: QualifiedName): string {
  return [schema, name]
    .map((part) => (/^[a-z_][a-z0-9_]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join('.')
}

function whenLines(part: ProposedPart, indent: number): readonly string[] {
  return part.when === null ? [] : [entry('when', part.when.text, { indent, why: part.when.why })]
}

function profileLines(lines: readonly ProposedLine[], indent: number): readonly string[] {
  const pad = ' '.repeat(indent)
  const written = lines.map(({ key, source, on, why }) => {
    const value: Written = source
    return on ? entry(key, value, { indent: indent + 2, why }) : entryOff(key, value, { indent: indent + 2, why })
  })
  // At least one line has to stand, or the section is no mapping.
  const none = lines.some(({ on }) => on) ? [] : [`${pad}  # nothing is sure enough: switch on what is right`]
  return [`${pad}profile:`, ...none, ...written]
}

function withheldBlock(names: readonly string[]): readonly (readonly string[])[] {
  if (names.length === 0) return []
  const lines: string[] = []
  let line = 'Never proposed, as secrets or unconfirmed addresses:'
  for (const [at, name] of names.entries()) {
    const word = ` ${name}${at === names.length - 1 ? '.' : ','}`
    if (line.length + word.length > 110) {
      lines.push(comment(line))
      line = ` ${word}`
    } else line += word
  }
  return [[...lines, comment(line)]]
}

function childrenBlocks(children: readonly ProposedChild[]): readonly (readonly string[])[] {
  if (children.length === 0) return []
  const live = children.filter(({ on }) => on)
  const idle = children.filter(({ on }) => !on)
  const head = '# Rows of other tables that belong to a user; their addresses unite with the ones above.'
  const asComment = (line: string) => `# ${line}`
  const off = idle.flatMap((child) => childLines(child).join('\n').split('\n').map(asComment))
  if (live.length === 0) return [[head, '# children:', ...off]]
  return [[head, 'children:', ...live.flatMap(childLines), ...off]]
}

function childLines(child: ProposedChild): readonly string[] {
  const user = child.user.length === 1 ? (child.user[0] ?? '') : child.user
  return [
    `  - table: ${scalar(tableText(child.table))}`,
    entry('user', user, { indent: 4, why: child.why }),
    ...whenLines(child, 4),
    ...profileLines(child.profile, 4),
  ]
}
