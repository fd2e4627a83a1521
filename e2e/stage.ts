// Sets the stage for a run: the server, then the four apps against it. Returns how to clear it again.
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { answers, buildApps, startApp, VARIANTS, type Apps } from './apps.ts'
import { RESULTS, STATE } from './folders.ts'
import { stop } from './processes.ts'
import { startServer, type Server } from './server.ts'

export interface Stage {
  server: Server
  apps: Apps
}

/** The addresses are part of the builds, so they stay the same from run to run. */
const FIRST_PORT = Number(process.env.E2E_PORT ?? 4840)

export default async function setStage(): Promise<() => Promise<void>> {
  mkdirSync(RESULTS, { recursive: true })
  mkdirSync(STATE, { recursive: true })
  rmSync(join(RESULTS, 'outside.log'), { force: true })

  const running: ChildProcess[] = []
  const clear = async () => {
    await Promise.all(running.map(stop))
  }
  try {
    const { server, process: child } = await startServer(FIRST_PORT, join(STATE, 'server'))
    running.push(child)
    await buildApps(server)

    const apps = {} as Apps
    for (const [index, variant] of VARIANTS.entries()) {
      const port = FIRST_PORT + 1 + index
      apps[variant] = `http://localhost:${port}`
      await isFree(apps[variant])
      const app = startApp(variant, server, port)
      running.push(app)
      await answers(apps[variant], app)
    }
    const stage: Stage = { server, apps }
    process.env.E2E_STAGE = JSON.stringify(stage)
  } catch (error) {
    await clear()
    throw error
  }
  return clear
}

export function stage(): Stage {
  return JSON.parse(process.env.E2E_STAGE!)
}

async function isFree(url: string): Promise<void> {
  const answer = await fetch(url).catch(() => undefined)
  if (answer) throw new Error(`Something already answers at ${url}. Stop it, or choose other ports with E2E_PORT.`)
}
