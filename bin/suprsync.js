#!/usr/bin/env node
// Starts suprsync: the sources in a checkout, the build in the published package. Plain JavaScript
// that Node 14 and later can parse, so that an old one is told what is missing instead of a syntax error.
const needed = 24
const major = Number(process.versions.node.split('.')[0])
if (major < needed) {
  process.stderr.write(
    `suprsync needs Node.js ${needed} or newer; this is ${process.version} (${process.execPath}).\n` +
      'In a checkout run it through npm, which brings its own Node: npm run -s suprsync -- --help\n',
  )
  process.exit(2)
}

import('node:fs').then(({ existsSync }) => {
  const source = new URL('../src/main.ts', import.meta.url)
  return import((existsSync(source) ? source : new URL('../dist/main.js', import.meta.url)).href)
})
