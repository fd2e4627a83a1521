// What an application in a browser has to show, in a headless Chromium.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { ROOT } from './folders.mjs'
import { PASSWORD } from './server.mjs'

const { chromium } = createRequire(join(ROOT, 'e2e/package.json'))('@playwright/test')
const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/

export const browserPromises = {
  async 'the guard sees a connection of the page to another host'({ application }) {
    await inBrowser(async (page, outside) => {
      await page.goto(application.url)
      await page.evaluate(() => fetch('https://outside.invalid/').catch(String))
      assert.deepEqual(outside, ['https://outside.invalid/'])
    })
  },

  async 'somebody signs in on a page of the application'({ application, server }) {
    await inBrowser(async (page, outside) => {
      await page.goto(application.url)
      await page.locator('input[name=identifier]').fill(server.email)
      await page.locator('.cl-formButtonPrimary').click()
      await page.locator('input[name=password]').fill(PASSWORD)
      await page.locator('.cl-formButtonPrimary').click()
      await page.locator('#who').waitFor()
      assert.equal(await page.locator('#who').innerText(), server.email)
      // The cookie is there for the next page, too.
      await page.reload()
      assert.equal(await page.locator('#who').innerText(), server.email)
      assert.deepEqual(outside, [], 'the page asked another host')
      assert.deepEqual(application.takeOutside(), [], 'the application asked another host')
    })
  },
}

async function inBrowser(story) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage()
    page.setDefaultTimeout(90_000)
    const outside = []
    await page.route('**', (route) => {
      const { hostname, href } = new URL(route.request().url())
      if (LOOPBACK.test(hostname)) return route.fallback()
      outside.push(href)
      return route.abort()
    })
    await story(page, outside)
  } finally {
    await browser.close()
  }
}
