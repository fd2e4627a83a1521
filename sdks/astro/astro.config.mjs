import node from '@astrojs/node'
import clerk from '@clerk/astro'
import { defineConfig } from 'astro/config'

export default defineConfig({
  adapter: node({ mode: 'middleware' }),
  integrations: [clerk()],
  output: 'server',
  telemetry: false,
})
