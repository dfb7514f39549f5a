/** Copying and saving text. */

import { t } from '@/texts'

import { attempt } from './notices'

export async function copy(text: string): Promise<void> {
  await attempt(() => navigator.clipboard.writeText(text), t.common.copied)
}

export function download(name: string, text: string, type = 'text/plain'): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser has begun to read it once the click returns; a moment later it no longer needs the name.
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}
