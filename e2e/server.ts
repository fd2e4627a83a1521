// Starts and stops the server under test.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { join, resolve } from 'node:path'
import { RESULTS } from './folders.ts'
import { ends, stop } from './processes.ts'

export interface Server {
  baseUrl: string
  publishableKey: string
  secretKey: string
}

const READY_WITHIN_MS = 30_000

export async function startServer(port: number, data: string): Promise<{ server: Server; process: ChildProcess }> {
  const binary = resolve(process.env.SOJOURN_BIN ?? join(import.meta.dirname, '../target/debug/sojourn'))
  if (!existsSync(binary)) {
    throw new Error(`There is no server at ${binary}. Build it with \`make build\`, or name another one in SOJOURN_BIN.`)
  }
  const log = join(RESULTS, 'server.log')
  const child = spawn(binary, ['test-server', '--port', String(port), '--data', data, '--json'], {
    stdio: ['ignore', 'pipe', openSync(log, 'w')],
  })
  try {
    const line = await Promise.race([firstLine(child), ends(child), after(READY_WITHIN_MS)])
    if (typeof line !== 'string') {
      throw new Error(`The server was not ready within ${READY_WITHIN_MS / 1000} s, or ended; it says why in ${log}.`)
    }
    const ready = JSON.parse(line)
    const server = { baseUrl: ready.base_url, publishableKey: ready.publishable_key, secretKey: ready.secret_key }
    if (ready.event !== 'ready' || Object.values(server).some((value) => typeof value !== 'string')) {
      throw new Error(`The server's first line is not its ready event: ${line}`)
    }
    return { server, process: child }
  } catch (error) {
    await stop(child)
    throw error
  }
}

async function firstLine(child: ChildProcess): Promise<string | undefined> {
  for await (const line of createInterface({ input: child.stdout! })) return line
  return undefined
}

function after(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms).unref())
}
