/** Values of Secrets and binary data. Pure. */

/** Text as text; what is none stays as base64. */
export function decodeBase64(base64: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(base64))
  } catch {
    return base64
  }
}

/** @throws for what is no base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}
