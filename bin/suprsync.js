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

// The service makes much short-lived garbage and keeps little. Left alone V8 lets its heap grow to 500 MB under load
// before it looks; with a small young generation and a steady schedule it stays under 150 MB for a tenth more processor
// time. Flags of the heap's size work only from the start, so the process begins again as itself: same pid, no child.
const heap = ['--max-semi-space-size=2', '--predictable-gc-schedule']
const isService = process.argv.includes('run') && !process.execArgv.includes(heap[0])
if (isService && process.execve && process.platform !== 'win32' && !process.channel) {
  process.execve(
    process.execPath,
    [process.execPath, ...process.execArgv, ...heap, ...process.argv.slice(1)],
    process.env,
  )
}

const source = new URL('../src/main.ts', import.meta.url)
Promise.all([import('node:fs'), import('node:module')]).then(([{ existsSync }, { enableCompileCache }]) => {
  if (!existsSync(source)) return import(new URL('../dist/main.js', import.meta.url).href)
  // Without it every start strips the types anew: 30 MB and a second that a checkout need not pay twice.
  enableCompileCache()
  return import(source.href)
})
