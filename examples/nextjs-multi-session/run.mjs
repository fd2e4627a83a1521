// Builds this example and serves it against the Sojourn that is running: `make example`.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const repository = resolve(here, '../..')
const sojourn = resolve(process.env.SOJOURN_BIN ?? join(repository, 'target/debug/sojourn'))

writeFileSync(join(here, '.env.local'), environmentOfTheRunningServer())
if (!isInstalled()) run('npm', ['ci'])
run(process.execPath, [next(), 'build'])

const port = await firstFreePort(Number(process.env.PORT ?? 3000))
console.log(`\nThe example is at http://localhost:${port}\n`)
const server = spawn(process.execPath, [next(), 'start', '--hostname', 'localhost', '--port', String(port)], {
  cwd: here,
  env: quietEnvironment(),
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.kill(signal))
server.on('exit', (code) => process.exit(code ?? 0))

function environmentOfTheRunningServer() {
  if (!existsSync(sojourn)) {
    fail(`There is no sojourn at ${sojourn}. Build it with \`make build\`, or name another one in SOJOURN_BIN.`)
  }
  let lines
  try {
    lines = execFileSync(sojourn, ['env', '--for', 'next'], { cwd: repository, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  } catch {
    fail('The server did not give its keys. Start it in another terminal with `make run`, then try again.')
  }
  if (!lines.includes('NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY=')) {
    fail(`\`sojourn env --for next\` printed no publishable key, but:\n${lines}`)
  }
  return lines
}

function isInstalled() {
  const installed = join(here, 'node_modules/.package-lock.json')
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(here, 'package-lock.json')).mtimeMs
}

function next() {
  return join(here, 'node_modules/next/dist/bin/next')
}

function quietEnvironment() {
  return { ...process.env, NEXT_TELEMETRY_DISABLED: '1' }
}

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: here, env: quietEnvironment(), stdio: 'inherit' })
  } catch {
    fail(`\`${[command, ...args].join(' ')}\` failed in ${here}; its own words are above.`)
  }
}

async function firstFreePort(wanted) {
  for (let port = wanted; port < wanted + 100; port++) {
    const free = (await Promise.all([isFree(port, '127.0.0.1'), isFree(port, '::1')])).every(Boolean)
    if (free) {
      if (port !== wanted) console.log(`Port ${wanted} is taken, so this one is ${port}.`)
      return port
    }
  }
  fail(`Ports ${wanted} to ${wanted + 99} are all taken. Choose another with PORT=…`)
}

function isFree(port, host) {
  return new Promise((answer) => {
    const probe = createServer()
    // A machine without IPv6 has no ::1 to be taken.
    probe.once('error', (error) => answer(error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT'))
    probe.listen(port, host, () => probe.close(() => answer(true)))
  })
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
