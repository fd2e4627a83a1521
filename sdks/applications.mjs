// How each application is prepared and started.
import { join } from 'node:path'
import { STATE } from './harness/folders.mjs'

// Sentences among the lines of code.
const prose = /^(in |or, |with )/
const npm = { prepare: [['npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts']]], manifest: 'package-lock.json', prose }

/** A server that runs in Node: it can hand browsers over to the server and back. */
const node = { ...npm, sources: ['app.mjs'], command: ['node', ['app.mjs']], guard: 'node', handshake: true }

/** A page that Vite serves, and passes on what is below `/__clerk`. */
const vite = { ...npm, command: ['node', ['app.mjs']], guard: 'node', inBrowser: true }
const react = { ...vite, sources: ['main.jsx', 'vite.config.js'] }

const python = join(STATE, 'python')

export const APPLICATIONS = {
  fastify: node,
  hono: node,
  express: node,
  'react-router': node,
  tanstack: node,
  astro: {
    ...node,
    prepare: [...npm.prepare, ['node', ['node_modules/astro/astro.js', 'build']]],
    built: ['astro.config.mjs', 'src/middleware.js', 'src/pages/me.js', 'src/pages/user.js', 'src/pages/outside.js'],
  },
  svelte: { ...npm, sources: ['vite.config.js'], command: ['node', ['app.mjs']], guard: 'node' },
  nuxt: {
    ...node,
    // Not `npm ci`: it misses an optional package for another system in any lock file of this tree.
    prepare: [
      ['npm', ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts']],
      ['node', ['node_modules/nuxt/bin/nuxt.mjs', 'build']],
    ],
    built: ['nuxt.config.ts', 'app/app.vue', 'server/routes/me.get.ts', 'server/routes/user.get.ts', 'server/routes/outside.get.ts'],
  },
  react,
  'clerk-react-5': { ...react, stack: 'react' },
  vue: { ...vite, sources: ['main.js', 'vite.config.js'] },
  python: {
    manifest: 'requirements.txt',
    prepare: [
      ['python3', ['-m', 'venv', python]],
      [join(python, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt']],
    ],
    sources: ['app.py'],
    command: [join(python, 'bin/python'), ['app.py']],
    guard: 'python',
    prose,
  },
  go: {
    manifest: 'go.sum',
    prepare: [['go', ['build', '-o', join(STATE, 'go-app'), '.']]],
    sources: ['main.go'],
    command: [join(STATE, 'go-app'), []],
    guard: 'proxy',
    prose,
  },
  java: {
    manifest: 'pom.xml',
    prepare: [['mvn', ['--quiet', '--batch-mode', 'package']]],
    sources: ['src/main/java/App.java'],
    command: ['java', ['-cp', 'target/app.jar:target/lib/*', 'App']],
    guard: 'proxy',
    prose,
  },
  rust: {
    manifest: 'Cargo.lock',
    prepare: [['cargo', ['build', '--quiet', '--locked', '--target-dir', join(STATE, 'rust')]]],
    sources: ['src/main.rs'],
    command: [join(STATE, 'rust/debug/app'), []],
    guard: 'proxy',
    prose,
  },
}
