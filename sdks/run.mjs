// Drives the real SDKs against a running server: node sdks/run.mjs [NAME…]
// For each it starts a small application with the variables that `sojourn env` prints, and fails when a
// promise is broken or a connection leaves this machine. The last line is `N passed, N failed`.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { APPLICATIONS } from './applications.mjs'
import { startApplication } from './harness/application.mjs'
import { SDKS } from './harness/folders.mjs'
import { startServer } from './harness/server.mjs'
import { tryApplication } from './harness/promises.mjs'

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in APPLICATIONS))
if (unknown.length > 0) {
  console.error(`There is no application ${unknown.join(', ')}; there are ${Object.keys(APPLICATIONS).join(', ')}.`)
  process.exit(2)
}

let passed = 0
let failed = 0
for (const [name, plan] of Object.entries(APPLICATIONS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const startedAt = Date.now()
  const server = await startServer(name)
  let application
  try {
    const printed = server.environment(plan.stack ?? name)
    saysWhatIsPrinted(name, plan, printed.code.replaceAll(`'${server.baseUrl}'`, 'process.env.SERVER_URL'))
    application = await startApplication(name, plan, server, printed.variables)
    for (const { title, failure } of await tryApplication(plan, server, application)) {
      if (failure) failed += 1
      else passed += 1
      console.log(`${failure ? 'FAILED' : 'ok'}  ${name}: ${title}${failure ? `\n${indented(failure)}` : ''}`)
    }
  } catch (error) {
    failed += 1
    console.log(`FAILED  ${name}: the application starts\n${indented(error.stack ?? String(error))}`)
  } finally {
    await application?.stop()
    await server.stop()
  }
  console.log(`      ${name}: ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)

/** The code that `sojourn env` prints stands in the application as printed, so that it is tried, too. */
function saysWhatIsPrinted(name, plan, code) {
  const lines = (text) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '')
  const source = plan.sources.flatMap((file) => lines(readFileSync(join(SDKS, name, file), 'utf8')))
  for (const line of lines(code).filter((line) => !plan.prose.test(line))) {
    if (!source.includes(line)) throw new Error(`sojourn env --for ${name} prints a line that ${plan.sources} lacks: ${line}`)
  }
}

function indented(text) {
  return text.split('\n').map((line) => `        ${line}`).join('\n')
}
