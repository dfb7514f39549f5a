/** Values of Secrets and binary data. Pure. */

/** Text as text; what is none stays as base64. */
export function decodeBase64(base64: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(base64))
  } catch {
    return base64
  }
}

/** Whether what is encoded is text. */
export function isText(base64: string): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(base64))
    return true
  } catch {
    return false
  }
}

export function encodeBase64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''))
}

/** @throws for what is no base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}
