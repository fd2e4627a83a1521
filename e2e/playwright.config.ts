import { defineConfig } from '@playwright/test'

const MINUTE = 60_000

export default defineConfig({
  testDir: 'tests',
  outputDir: 'results/failures',
  globalSetup: './stage.ts',
  globalTimeout: 20 * MINUTE,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  // The settings belong to the whole instance: two tests at once would change them under each other.
  workers: 1,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    actionTimeout: 15_000,
    navigationTimeout: 30_000,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
})
