export default defineNuxtConfig({
  modules: ['@clerk/nuxt'],
  telemetry: false,
  compatibilityDate: '2025-11-01',
})
