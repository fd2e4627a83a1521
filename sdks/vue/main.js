import { clerkPlugin } from '@clerk/vue'
import { createApp } from 'vue'
import Page from './Page.vue'

const app = createApp(Page)
app.use(clerkPlugin, {
  publishableKey: import.meta.env.VITE_CLERK_PUBLISHABLE_KEY,
  proxyUrl: '/__clerk',
  signInUrl: import.meta.env.VITE_CLERK_SIGN_IN_URL,
  signUpUrl: import.meta.env.VITE_CLERK_SIGN_UP_URL,
})
app.mount('#root')
