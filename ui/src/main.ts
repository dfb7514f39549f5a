import '@/styles/main.css'
import '@/styles/controls.css'
import '@/styles/menus.css'
import '@/styles/gate.css'

import { createApp } from 'vue'

import App from '@/app/App.vue'
import { loadAhead } from '@/app/late'
import { notify } from '@/app/notices'
import { router } from '@/app/router'
import { messageOf } from '@/api/http'
import { allowStyles } from '@/app/styles'

allowStyles()
const app = createApp(App)
app.config.errorHandler = (error) => {
  console.error(error)
  notify(messageOf(error), 'failed')
}
app.use(router)
// What is on the screen comes first.
void router.isReady().then(() => loadAhead(router.getRoutes()))
app.mount('#app')
