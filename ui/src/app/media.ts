/** What kind of screen this is. */

import { ref, type Ref } from 'vue'

function media(query: string): Ref<boolean> {
  const list = matchMedia(query)
  const matches = ref(list.matches)
  list.addEventListener('change', () => (matches.value = list.matches))
  return matches
}

export const phone = media('(max-width: 640px)')
export const narrow = media('(max-width: 960px)')
