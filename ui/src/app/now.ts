/** The time of day for ages on the screen; it moves while somebody looks. */

import { ref } from 'vue'

export const now = ref(Date.now())

setInterval(() => {
  if (!document.hidden) now.value = Date.now()
}, 1000)
