/** What a TLS certificate says: whose it is, for which names, until when (X.509, RFC 5280; DER, X.690). Pure. */

import { bytesOf } from './base64'

export interface Certificate {
  subject: string
  issuer: string
  /** Host names and addresses it is good for. */
  names: string[]
  from: Date
  until: Date
  serial: string
}

interface Element {
  tag: number
  /** What is inside. */
  content: Uint8Array
}

const [SEQUENCE, UTC_TIME, VERSION, EXTENSIONS] = [0x30, 0x17, 0xa0, 0xa3]
/** Kinds of names in the list of alternative names. */
const [DNS_NAME, ADDRESS] = [0x82, 0x87]
const ALTERNATIVE_NAMES = '551d11'
/** Parts of a name, by object identifiers below 2.5.4. */
const PARTS: Record<string, string> = { '550403': 'CN', '55040a': 'O', '55040b': 'OU', '550406': 'C' }

/**
 * The certificates of a text in PEM, the first one's own first.
 *
 * @throws for what is no certificate.
 */
export function certificatesOf(pem: string): Certificate[] {
  const blocks = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)]
  if (blocks.length === 0) throw new Error('no certificate')
  return blocks.map(([, base64 = '']) => read(bytesOf(base64.replaceAll(/\s+/g, ''))))
}

/** Whole days until it ends; negative once it has. */
export function daysLeft({ until }: Certificate, now: number): number {
  return Math.floor((until.getTime() - now) / 86_400_000)
}

function read(bytes: Uint8Array): Certificate {
  const [whole] = elements(bytes)
  const [body] = elements(contentOf(whole, SEQUENCE))
  const fields = elements(contentOf(body, SEQUENCE))
  if (fields[0]?.tag === VERSION) fields.shift()
  const [serial, , issuer, validity, subject] = fields
  const [from, until] = elements(contentOf(validity, SEQUENCE))
  return {
    subject: nameOf(contentOf(subject, SEQUENCE)),
    issuer: nameOf(contentOf(issuer, SEQUENCE)),
    names: alternativeNames(fields.find((field) => field.tag === EXTENSIONS)),
    from: timeOf(from),
    until: timeOf(until),
    serial: hex(serial?.content ?? new Uint8Array(), ':'),
  }
}

/** The elements that bytes are made of. */
function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0
    let length = bytes[at + 1] ?? 0
    at += 2
    if (length > 0x80) {
      const digits = length - 0x80
      if (digits > 4) throw new Error('too long')
      length = bytes.subarray(at, at + digits).reduce((sum, byte) => sum * 256 + byte, 0)
      at += digits
    }
    if (at + length > bytes.length) throw new Error('cut short')
    found.push({ tag, content: bytes.subarray(at, at + length) })
    at += length
  }
  return found
}

function contentOf(element: Element | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) throw new Error('not as expected')
  return element.content
}

/** `CN=web, O=Shop`. */
function nameOf(sets: Uint8Array): string {
  return elements(sets)
    .flatMap((set) => elements(set.content))
    .flatMap((pair) => {
      const [kind, value] = elements(pair.content)
      const part = PARTS[hex(kind?.content ?? new Uint8Array())]
      return part && value ? [`${part}=${new TextDecoder().decode(value.content)}`] : []
    })
    .join(', ')
}

function alternativeNames(extensions: Element | undefined): string[] {
  if (!extensions) return []
  const list = elements(extensions.content).flatMap((one) => elements(one.content))
  const found = list
    .map((one) => elements(one.content))
    .find(([kind]) => hex(kind?.content ?? new Uint8Array()) === ALTERNATIVE_NAMES)
  const value = found?.at(-1)
  const [names] = value ? elements(value.content) : []
  return elements(names?.content ?? new Uint8Array()).flatMap(({ tag, content }) => {
    if (tag === DNS_NAME) return [new TextDecoder().decode(content)]
    return tag === ADDRESS ? [addressOf(content)] : []
  })
}

function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16))
  return groups.join(':')
}

/** `YYMMDDHHMMSSZ`, or with all digits of the year. */
function timeOf(element: Element | undefined): Date {
  const digits = new TextDecoder().decode(element?.content)
  const short = element?.tag === UTC_TIME
  const year = short ? Number(digits.slice(0, 2)) + (digits < '50' ? 2000 : 1900) : Number(digits.slice(0, 4))
  const rest = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(digits.slice(short ? 2 : 4))
  if (!rest) throw new Error('no time')
  const [, month, day, hour, minute, second] = rest.map(Number)
  return new Date(Date.UTC(year, (month ?? 1) - 1, day, hour, minute, second))
}

function hex(bytes: Uint8Array, between = ''): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(between)
}
