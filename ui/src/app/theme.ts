/** Light, dark, or as the system says. `index.html` applies a stored choice before the first paint. */

import { computed, ref } from 'vue'

export type Theme = 'system' | 'light' | 'dark'

function stored(): Theme {
  const choice = localStorage.getItem('theme')
  return choice === 'light' || choice === 'dark' ? choice : 'system'
}

const system = matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = ref(system.matches)
system.addEventListener('change', () => (systemIsDark.value = system.matches))

export const theme = ref<Theme>(stored())
export const dark = computed(() => (theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'))

export function setTheme(choice: Theme): void {
  if (choice === 'system') localStorage.removeItem('theme')
  else localStorage.setItem('theme', choice)
  show(choice)
}

function show(choice: Theme): void {
  theme.value = choice
  if (choice === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = choice
}

// Chosen in another tab.
window.addEventListener('storage', (event) => {
  if (event.key === 'theme' || event.key === null) show(stored())
})
