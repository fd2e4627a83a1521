// Builds and starts the example in its four variants.
import { createHash } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { E2E, EXAMPLE, RESULTS } from './folders.ts'
import { ends, stop } from './processes.ts'
import type { Server } from './server.ts'

export type Variant = 'with-prop' | 'without-prop' | 'sign-in-url' | 'same-origin'
export type Apps = Record<Variant, string>

interface Plan {
  /** What a copy of the example says differently; the example itself stays the specification's code. */
  edits: Edit[]
  environment: (server: Server) => Record<string, string>
}

interface Edit {
  file: string
  from: string
  to: string
}

const WITHOUT_PROP: Edit = { file: 'app/layout.tsx', from: ' afterMultiSessionSingleSignOutUrl="/"', to: '' }

const PROXIED: Edit[] = [
  { file: 'proxy.ts', from: 'clerkMiddleware()', to: 'clerkMiddleware({ frontendApiProxy: { enabled: true } })' },
  // The scripts below /__clerk/npm would be left out as static files.
  { file: 'proxy.ts', from: "'/(api|trpc)(.*)'", to: "'/(api|trpc|__clerk)(.*)'" },
]

// The packages are installed two folders up, in the example itself.
const PACKAGES_ABOVE: Edit = { file: 'next.config.ts', from: 'import.meta.dirname', to: "import.meta.dirname + '/../..'" }

const PLANS: Record<Variant, Plan> = {
  // The example as it is: afterMultiSessionSingleSignOutUrl="/".
  'with-prop': { edits: [], environment: (server) => ({ ...crossOrigin(server), ...ownSignInPages }) },
  // Neither the prop nor a sign-in URL: the portal is left.
  'without-prop': { edits: [WITHOUT_PROP], environment: crossOrigin },
  // A sign-in URL, but not the prop.
  'sign-in-url': {
    edits: [WITHOUT_PROP],
    environment: (server) => ({ ...crossOrigin(server), ...ownSignInPages }),
  },
  // The server behind the app's own /__clerk.
  'same-origin': { edits: PROXIED, environment: (server) => ({ ...sameOrigin(server), ...ownSignInPages }) },
}

export const VARIANTS = Object.keys(PLANS) as Variant[]

const BUILT_WITHIN_MS = 240_000
const READY_WITHIN_MS = 30_000

const ownSignInPages = {
  NEXT_PUBLIC_CLERK_SIGN_IN_URL: '/sign-in',
  NEXT_PUBLIC_CLERK_SIGN_UP_URL: '/sign-up',
}

function crossOrigin(server: Server): Record<string, string> {
  return {
    ...keys(server),
    NEXT_PUBLIC_CLERK_PROXY_URL: server.baseUrl,
    NEXT_PUBLIC_CLERK_JS_URL: `${server.baseUrl}/npm/@clerk/clerk-js@6/dist/clerk.browser.js`,
    NEXT_PUBLIC_CLERK_UI_URL: `${server.baseUrl}/npm/@clerk/ui@1/dist/ui.browser.js`,
  }
}

function sameOrigin(server: Server): Record<string, string> {
  return { ...keys(server), CLERK_FAPI_URL: server.baseUrl, NEXT_PUBLIC_CLERK_PROXY_URL: '/__clerk' }
}

function keys(server: Server): Record<string, string> {
  return {
    NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY: server.publishableKey,
    CLERK_SECRET_KEY: server.secretKey,
    CLERK_API_URL: server.baseUrl,
    NEXT_PUBLIC_CLERK_TELEMETRY_DISABLED: '1',
    NEXT_PUBLIC_CLERK_KEYLESS_DISABLED: '1',
  }
}

/** One after the other: a build fills both cores by itself. */
export async function buildApps(server: Server): Promise<void> {
  if (!existsSync(join(EXAMPLE, 'node_modules/next'))) {
    throw new Error(`The example is not installed. Run \`npm ci\` in ${EXAMPLE}.`)
  }
  for (const variant of VARIANTS) await buildApp(variant, server)
}

export function startApp(variant: Variant, server: Server, port: number): ChildProcess {
  const log = openSync(join(RESULTS, `app-${variant}.log`), 'w')
  const child = spawn(process.execPath, [nextCommand(), 'start', '--hostname', 'localhost', '--port', String(port)], {
    cwd: folderOf(variant),
    env: { ...environmentOf(variant, server), NODE_OPTIONS: `--require "${join(E2E, 'app-guard.cjs')}"`, OUTSIDE_LOG },
    stdio: ['ignore', log, log],
  })
  void ends(child)
  return child
}

/** Where an app writes each host outside this machine that it tried to reach. */
export const OUTSIDE_LOG = join(RESULTS, 'outside.log')

export async function answers(url: string, app: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS
  while (Date.now() < deadline && app.exitCode === null) {
    const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer && answer.status < 500) return
    await new Promise((resume) => setTimeout(resume, 150))
  }
  await stop(app)
  throw new Error(`The app at ${url} did not answer within ${READY_WITHIN_MS / 1000} s; its words are in ${RESULTS}.`)
}

async function buildApp(variant: Variant, server: Server): Promise<void> {
  const folder = folderOf(variant)
  const stamp = join(folder, '.built-from')
  const inputs = inputsOf(variant, server)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return

  const startedAt = Date.now()
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  // Entry by entry, because the copy lies below the folder it is a copy of.
  for (const name of readdirSync(EXAMPLE).filter(isSource)) {
    cpSync(join(EXAMPLE, name), join(folder, name), { recursive: true })
  }
  for (const edit of editsOf(variant)) apply(edit, folder)

  const log = join(RESULTS, `build-${variant}.log`)
  const output = openSync(log, 'w')
  const child = spawn(process.execPath, [nextCommand(), 'build'], {
    cwd: folder,
    env: environmentOf(variant, server),
    stdio: ['ignore', output, output],
  })
  const late = setTimeout(() => child.kill('SIGKILL'), BUILT_WITHIN_MS)
  await ends(child)
  clearTimeout(late)
  if (child.exitCode !== 0) {
    throw new Error(`Building the variant ${variant} failed (${child.exitCode ?? child.signalCode}); see ${log}.`)
  }
  writeFileSync(stamp, inputs)
  console.log(`built the variant ${variant} in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
}

/** Below the example, so that its installed packages are found there and not copied four times. */
function folderOf(variant: Variant): string {
  return join(EXAMPLE, '.variants', variant)
}

function editsOf(variant: Variant): Edit[] {
  return [...PLANS[variant].edits, PACKAGES_ABOVE]
}

function apply({ file, from, to }: Edit, folder: string): void {
  const path = join(folder, file)
  const parts = readFileSync(path, 'utf8').split(from)
  if (parts.length !== 2) throw new Error(`The example's ${file} should say ${from} once, not ${parts.length - 1} times.`)
  writeFileSync(path, parts.join(to))
}

function isSource(name: string): boolean {
  return !/^(node_modules$|\.|next-env\.d\.ts$|package-lock\.json$|run\.mjs$)|\.(md|tsbuildinfo)$/.test(name)
}

function inputsOf(variant: Variant, server: Server): string {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([PLANS[variant].environment(server), editsOf(variant)]))
  hash.update(readFileSync(join(EXAMPLE, 'package-lock.json')))
  for (const file of filesBelow(EXAMPLE)) hash.update(file).update(readFileSync(file))
  return hash.digest('hex')
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => isSource(entry.name))
    .sort((one, other) => one.name.localeCompare(other.name))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : join(folder, entry.name)))
}

/** Without what this shell may have set: a stray NEXT_PUBLIC_CLERK_… would end up in the build. */
function environmentOf(variant: Variant, server: Server): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/CLERK|^NODE_OPTIONS$|^NODE_ENV$/.test(name))
  return {
    ...Object.fromEntries(inherited),
    ...PLANS[variant].environment(server),
    NODE_ENV: 'production',
    NEXT_TELEMETRY_DISABLED: '1',
  }
}

function nextCommand(): string {
  return join(EXAMPLE, 'node_modules/next/dist/bin/next')
}
