import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  server: {
    proxy: {
      '/__clerk': {
        target: process.env.SERVER_URL,
        rewrite: (path) => path.replace(/^\/__clerk/, ''),
      },
    },
  },
})
