// What the documentation points at is there: links, the files that the map of the code names, and for every promise a test.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = new URL('../../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8')
const pages = [
  'README.md',
  'CHANGELOG.md',
  'src/README.md',
  ...readdirSync(new URL('docs', ROOT)).map((name) => `docs/${name}`),
]
const MAP = read('src/README.md')

test.each(pages.filter((page) => page.endsWith('.md')))('every relative link of %s leads somewhere', (page) => {
  const targets = [...read(page).matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)].map(([, target = '']) => target)
  for (const target of targets) {
    expect(existsSync(fileURLToPath(new URL(target, new URL(page, ROOT)))), `${page} → ${target}`).toBe(true)
  }
})

test('the map names every room, and only files that exist', () => {
  const rooms = readdirSync(new URL('src', ROOT), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  for (const { name } of rooms) expect(MAP).toContain(`| \`${name}/\` |`)
  const named = [...MAP.matchAll(/`((?:test|[a-z]+)\/[a-z0-9/-]+(?:\.test)?\.ts)`/g)].map(([, path = '']) => path)
  expect(named.length).toBeGreaterThan(40)
  for (const path of named) {
    expect(existsSync(new URL(path.startsWith('test/') ? path : `src/${path}`, ROOT)), path).toBe(true)
  }
})

test('every page and paragraph that a comment cites exists', () => {
  const paragraphs = paragraphsOf(read('docs/design.md'))
  expect(paragraphs).toContain('5.11')
  const sources = ['src', 'test', 'bench', 'bin', 'sql', 'config'].flatMap((room) =>
    readdirSync(new URL(room, ROOT), { recursive: true, encoding: 'utf8' }).map((name) => `${room}/${name}`),
  )
  let cited = 0
  for (const file of sources.filter((name) => /\.(ts|js|sql|yaml)$/.test(name))) {
    for (const line of read(file)
      .split('\n')
      .filter((text) => /^\s*(\/\/|\/?\*|--|#)|\/\/ /.test(text))) {
      for (const [, page = ''] of line.matchAll(/(?<![\w/.*:])((?:[\w-]+\/)*[\w-]+\.md)\b/g)) {
        expect(existsSync(new URL(page, ROOT)), `${file} cites ${page}`).toBe(true)
        cited += 1
      }
      const [, page, rest] = /\b([A-Z]{4,}) (§.*)/.exec(line) ?? []
      if (page === undefined || rest === undefined) continue
      expect(page, `${file}: § of a page that is not here`).toBe('DESIGN')
      for (const [, paragraph = ''] of rest.matchAll(/(?:§|to )(\d+(?:\.\d+)?)/g)) {
        expect(paragraphs, `${file} cites DESIGN §${paragraph}`).toContain(paragraph)
        cited += 1
      }
    }
  }
  expect(cited).toBeGreaterThan(30)
})

/** `5` of `## 5 Capture`, and `5.3` of the third item of a numbered list below it. */
function paragraphsOf(page: string): readonly string[] {
  return page.split(/^## /m).flatMap((section) => {
    const [number] = /^\d+/.exec(section) ?? []
    if (number === undefined) return []
    return [number, ...[...section.matchAll(/^(\d+)\. /gm)].map(([, item]) => `${number}.${item}`)]
  })
}

test('every promise is in both pages, with tests that hold it', () => {
  for (let number = 1; number <= 10; number += 1) {
    const row = new RegExp(`^\\| P${number} (.+?) \\| (.+) \\|$`, 'm')
    const [, name, tests = ''] = row.exec(MAP) ?? []
    expect(row.exec(read('README.md'))?.[1]).toBe(name)
    expect(tests.match(/`test\/[^`]+\.test\.ts`/g)?.length ?? 0, `tests of P${number}`).toBeGreaterThan(0)
  }
})

test.each(['postgres', 'e2e'])('the map names every test of test/%s', (project) => {
  const tests = readdirSync(new URL(`test/${project}`, ROOT)).filter((name) => name.endsWith('.test.ts'))
  expect(tests.filter((name) => !MAP.includes(`\`test/${project}/${name}\``))).toEqual([])
})
