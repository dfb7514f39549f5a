/** Keys that work everywhere. */

import { ref } from 'vue'

export const paletteOpen = ref(false)
export const helpOpen = ref(false)
/** The cluster whose kubectl shell is open; empty when none is. */
export const shellCluster = ref('')

/** Opens a cluster's kubectl shell, or closes it. One is open at a time. */
export function toggleShell(cluster: string): void {
  shellCluster.value = shellCluster.value === cluster ? '' : cluster
}

/** What `?` shows: keys and what they do are kept together in `texts`. */
export function listenForShortcuts(
  go: (place: 'clusters' | 'overview' | 'workloads' | 'pods' | 'nodes') => void,
  shell: () => void,
): () => void {
  let prefix = ''
  const onKey = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      paletteOpen.value = !paletteOpen.value
      return
    }
    if (event.ctrlKey && event.code === 'Backquote') {
      event.preventDefault()
      shell()
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
    const after = prefix
    prefix = ''
    const places = { c: 'clusters', o: 'overview', w: 'workloads', p: 'pods', n: 'nodes' } as const
    const place = places[event.key as keyof typeof places]
    if (after === 'g' && place) go(place)
    else if (event.key === 'g') prefix = 'g'
    else if (event.key === '/') paletteOpen.value = true
    else if (event.key === '?') helpOpen.value = true
    else if (event.key === 'f') document.querySelector<HTMLElement>('[data-filter]')?.focus()
    else if (event.key === 'n') document.querySelector<HTMLElement>('[data-scope]')?.click()
    else return
    event.preventDefault()
  }
  document.addEventListener('keydown', onKey)
  return () => document.removeEventListener('keydown', onKey)
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio'].includes(target.type)
  return target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName) || target.closest('.terminal') !== null
}
