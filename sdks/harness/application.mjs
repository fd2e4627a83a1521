// Prepares and starts an application, guarded: what leaves this machine is written to a file and refused.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ROOT, SDKS, STATE } from './folders.mjs'
import { firstLine, stop } from './processes.mjs'

const PREPARED_WITHIN_MS = 900_000

export async function startApplication(name, plan, server, variables) {
  const folder = join(SDKS, name)
  prepare(name, plan, folder)
  const outside = join(STATE, `${name}.outside.log`)
  rmSync(outside, { force: true })
  const guard = await GUARDS[plan.guard](outside)
  const [program, args] = plan.command
  const child = spawn(program, [...guard.args(program), ...args], {
    cwd: folder,
    env: { ...withoutOurs(process.env), ...variables, SERVER_URL: server.baseUrl, ...guard.environment },
    stdio: ['ignore', 'pipe', openSync(join(STATE, `${name}.log`), 'w')],
  })
  try {
    const urls = JSON.parse(await firstLine(child, `the application ${name}`))
    return {
      ...urls,
      /** Where it tried to connect to, since the last question. */
      takeOutside() {
        const found = existsSync(outside) ? readFileSync(outside, 'utf8').split('\n').filter(Boolean) : []
        rmSync(outside, { force: true })
        return found
      },
      async stop() {
        await stop(child)
        guard.close?.()
      },
    }
  } catch (error) {
    await stop(child)
    guard.close?.()
    throw new Error(`${error.message}; its log is ${join(STATE, `${name}.log`)}`)
  }
}

/** Installs and builds, unless the same manifest was prepared before. */
export function prepare(name, plan, folder) {
  const inputs = createHash('sha256').update(JSON.stringify(plan.prepare))
  for (const file of [plan.manifest, ...(plan.guard === 'proxy' ? plan.sources : []), ...(plan.built ?? [])]) {
    inputs.update(readFileSync(join(folder, file)))
  }
  const stamp = join(STATE, `${name}.prepared`)
  const hash = inputs.digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  rmSync(stamp, { force: true })
  const log = join(STATE, `${name}.prepare.log`)
  const output = openSync(log, 'w')
  for (const [program, args] of plan.prepare) {
    const done = spawnSync(program, args, { cwd: folder, stdio: ['ignore', output, output], timeout: PREPARED_WITHIN_MS })
    if (done.status !== 0) {
      throw new Error(`${program} ${args.join(' ')} failed (${done.error?.message ?? done.status ?? done.signal}); see ${log}`)
    }
  }
  writeFileSync(stamp, hash)
}

/** Nothing that this shell has set may decide where an SDK connects to. */
function withoutOurs(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/CLERK|^NODE_OPTIONS$|_proxy$|^https?_proxy/i.test(name)))
}

const none = () => []

const GUARDS = {
  async node(outside) {
    return {
      args: () => ['--require', join(ROOT, 'e2e/app-guard.cjs')],
      environment: { OUTSIDE_LOG: outside, NODE_ENV: 'development', CI: '' },
    }
  },
  async python(outside) {
    return { args: none, environment: { OUTSIDE_LOG: outside, PYTHONPATH: join(SDKS, 'harness/python') } }
  },
  /** For languages whose HTTP clients take a proxy from the environment: one that writes down and refuses. */
  async proxy(outside) {
    const proxy = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (bytes) => {
        writeFileSync(outside, `${bytes.toString('latin1').split('\r\n')[0]}\n`, { flag: 'a' })
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      })
    })
    await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening))
    const { port } = proxy.address()
    const address = `http://127.0.0.1:${port}`
    const loopback = 'localhost,127.0.0.1,::1'
    return {
      args: (program) =>
        program === 'java'
          ? ['http', 'https'].flatMap((scheme) => [`-D${scheme}.proxyHost=127.0.0.1`, `-D${scheme}.proxyPort=${port}`])
          : [],
      environment: { HTTP_PROXY: address, HTTPS_PROXY: address, http_proxy: address, https_proxy: address, NO_PROXY: loopback, no_proxy: loopback },
      close: () => proxy.close(),
    }
  },
}
