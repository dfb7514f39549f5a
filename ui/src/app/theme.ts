/** Light, dark, or as the system says. `index.html` applies a stored choice before the first paint. */

import { computed, ref } from 'vue'

export type Theme = 'system' | 'light' | 'dark'

const stored = localStorage.getItem('theme')
const system = matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = ref(system.matches)
system.addEventListener('change', () => (systemIsDark.value = system.matches))

export const theme = ref<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system')
export const dark = computed(() => (theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'))

export function setTheme(choice: Theme): void {
  theme.value = choice
  if (choice === 'system') {
    localStorage.removeItem('theme')
    delete document.documentElement.dataset.theme
  } else {
    localStorage.setItem('theme', choice)
    document.documentElement.dataset.theme = choice
  }
}
