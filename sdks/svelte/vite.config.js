import { sveltekit } from '@sveltejs/kit/vite'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [sveltekit()],
  server: {
    proxy: {
      '/__clerk': {
        target: process.env.SERVER_URL,
        rewrite: (path) => path.replace(/^\/__clerk/, ''),
      },
    },
  },
})
