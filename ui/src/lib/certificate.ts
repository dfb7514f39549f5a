/** What a TLS certificate says: whose it is, for which names, until when. Pure. Loaded only where certificates are shown. */

import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import { Certificate as Parsed, id_ce_subjectAltName, Name, SubjectAlternativeName } from '@peculiar/asn1-x509'

import { bytesOf } from './base64'
import type { Tone } from './tone'

export interface Certificate {
  subject: string
  issuer: string
  /** Host names and addresses it is good for. */
  names: string[]
  from: Date
  until: Date
  serial: string
}

/** Parts of a name that are shown, by their object identifiers. */
const PARTS: Record<string, string> = { '2.5.4.3': 'CN', '2.5.4.10': 'O', '2.5.4.11': 'OU', '2.5.4.6': 'C' }

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

/** Days before its end from which a certificate needs attention. */
const SOON = 30

/** How it stands with so many days left. */
export function toneOfDays(left: number): Tone {
  return left < 0 ? 'bad' : left < SOON ? 'warn' : 'good'
}

function read(bytes: Uint8Array<ArrayBuffer>): Certificate {
  const { tbsCertificate } = AsnConvert.parse(bytes, Parsed)
  const { subject, issuer, validity, serialNumber, extensions = [] } = tbsCertificate
  const names = extensions.find((one) => one.extnID === id_ce_subjectAltName)
  return {
    subject: nameOf(subject),
    issuer: nameOf(issuer),
    names: names ? namesIn(names.extnValue) : [],
    from: validity.notBefore.getTime(),
    until: validity.notAfter.getTime(),
    serial: Array.from(new Uint8Array(serialNumber), (byte) => byte.toString(16).padStart(2, '0')).join(':'),
  }
}

/** `CN=web, O=Shop`. */
function nameOf(name: Name): string {
  return [...name]
    .flatMap((set) => [...set])
    .flatMap(({ type, value }) => (PARTS[type] ? [`${PARTS[type]}=${value.toString()}`] : []))
    .join(', ')
}

function namesIn(value: OctetString): string[] {
  return [...AsnConvert.parse(value.buffer, SubjectAlternativeName)].flatMap(
    ({ dNSName, iPAddress }) => dNSName ?? iPAddress ?? [],
  )
}
