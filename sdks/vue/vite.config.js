import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [vue()],
  server: {
    proxy: {
      '/__clerk': {
        target: process.env.SERVER_URL,
        rewrite: (path) => path.replace(/^\/__clerk/, ''),
      },
    },
  },
})
