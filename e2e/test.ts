// The test of this project: starts from the default settings, watches that nothing leaves the machine.
import { existsSync, readFileSync } from 'node:fs'
import { expect, test as base, type BrowserContext } from '@playwright/test'
import { OUTSIDE_LOG, type Apps } from './apps.ts'
import { resetSettings } from './backend.ts'
import { stage } from './stage.ts'

interface Surroundings {
  /** The addresses of the four variants of the example. */
  apps: Apps
  /** The address of the server itself, where the portal is. */
  portal: string
  defaultSettings: void
}

const THIS_MACHINE = /^(localhost|127\.0\.0\.1|\[::1\])$/

export const test = base.extend<Surroundings>({
  apps: async ({}, use) => use(stage().apps),

  portal: async ({}, use) => use(stage().server.baseUrl),

  defaultSettings: [
    async ({}, use) => {
      await resetSettings()
      await use()
    },
    { auto: true },
  ],

  context: async ({ context }, use) => {
    const outside = requestsToOtherHosts(context)
    await use(context)
    expect(outside, 'the browser asked no other host').toEqual([])
    expect(connectionsOfTheApps(), 'the apps asked no other host').toBe('')
  },
})

export { expect }

/** Also for a context that a test opens by itself. */
export function requestsToOtherHosts(context: BrowserContext): string[] {
  const outside: string[] = []
  context.on('request', (request) => {
    const url = new URL(request.url())
    if (/^(https?|wss?):$/.test(url.protocol) && !THIS_MACHINE.test(url.hostname)) outside.push(request.url())
  })
  return outside
}

function connectionsOfTheApps(): string {
  return existsSync(OUTSIDE_LOG) ? readFileSync(OUTSIDE_LOG, 'utf8') : ''
}
