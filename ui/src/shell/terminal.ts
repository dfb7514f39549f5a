/** A shell: xterm on a websocket of the exec protocol. Loaded when first opened. */

import '@xterm/xterm/css/xterm.css'

import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'

import { ApiError, fetchOk, messageOf, socketUrl } from '@/api/http'
import { objectPath, PODS } from '@/data/kubernetes/objects'
import { t } from '@/texts'

/** Channels of the exec protocol (`v4.channel.k8s.io`, KEP-4006). */
const [STDIN, STDOUT, STDERR, STATUS, RESIZE] = [0, 1, 2, 3, 4]
/** A websocket that was closed in order (RFC 6455, 7.4.1). */
const PLAIN_END = 1000
const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io']
/** Bytes that are sent at once: servers take no large messages, and people paste large texts. */
const PIECE = 16 << 10
/** The best shell the container has. */
const COMMAND = [
  '/bin/sh',
  '-c',
  'TERM=xterm-256color; export TERM; if [ -x /bin/bash ]; then exec /bin/bash; else exec /bin/sh; fi',
]

export interface Shell {
  focus: () => void
  /** Takes the colours of the page again, after its theme changed. */
  recolour: () => void
  /** What stands in it, line by line. */
  text: () => string
  close: () => void
}

export interface ShellTarget {
  cluster: string
  namespace: string
  pod: string
  container: string
}

/** Where a shell in a container is. */
export function podShellPath(target: ShellTarget): string {
  const query = new URLSearchParams([
    ['container', target.container],
    ['stdin', 'true'],
    ['stdout', 'true'],
    ['tty', 'true'],
    ...COMMAND.map((part) => ['command', part]),
  ])
  return `${objectPath(target.cluster, PODS, target.namespace, target.pod)}/exec?${query}`
}

/** Where a kubectl shell of a cluster is. */
export function clusterShellPath(cluster: string): string {
  return `/v3/clusters/${encodeURIComponent(cluster)}?shell=true`
}

function colours(element: HTMLElement): { background: string; foreground: string; cursor: string; selectionBackground: string } {
  // A name stands for two colours; asked for on an element it is the one that is drawn.
  const value = (name: string): string => {
    element.style.color = `var(${name})`
    return getComputedStyle(element).color
  }
  const found = {
    background: value('--sunken'),
    foreground: value('--text'),
    cursor: value('--accent'),
    selectionBackground: value('--line-strong'),
  }
  element.style.color = ''
  return found
}

/**
 * Opens the shell at `path` in `element`, below what stood in the one before; `ended` hears why it is over, an empty text for
 * a plain end.
 */
export function openShell(
  element: HTMLElement,
  path: string,
  before: string,
  started: () => void,
  ended: (reason: string) => void,
): Shell {
  const terminal = new Terminal({
    fontFamily: getComputedStyle(element).getPropertyValue('--mono'),
    fontSize: 13,
    theme: colours(element),
    cursorBlink: false,
    screenReaderMode: true,
  })
  const fit = new FitAddon()
  terminal.loadAddon(fit)
  terminal.open(element)
  fit.fit()
  if (before) terminal.write(`${before.replaceAll('\n', '\r\n')}\r\n`)
  const socket = new WebSocket(socketUrl(path), PROTOCOLS)
  socket.binaryType = 'arraybuffer'
  let reason = ''
  let wasOpen = false

  const send = (channel: number, text: string): void => {
    if (socket.readyState !== WebSocket.OPEN) return
    const bytes = new TextEncoder().encode(text)
    for (let start = 0; start < bytes.length; start += PIECE) {
      const piece = bytes.subarray(start, start + PIECE)
      const frame = new Uint8Array(piece.length + 1)
      frame[0] = channel
      frame.set(piece, 1)
      socket.send(frame)
    }
  }
  const resize = (): void => {
    fit.fit()
    send(RESIZE ?? 4, JSON.stringify({ Width: terminal.cols, Height: terminal.rows }))
  }
  const observer = new ResizeObserver(resize)
  observer.observe(element)
  terminal.onData((text) => send(STDIN ?? 0, text))
  socket.addEventListener('open', () => {
    wasOpen = true
    resize()
    started()
    terminal.focus()
  })
  socket.addEventListener('message', (event) => {
    const frame = new Uint8Array(event.data as ArrayBuffer)
    const channel = frame[0]
    if (channel === STDOUT || channel === STDERR) terminal.write(frame.subarray(1))
    if (channel === STATUS) reason = failure(new TextDecoder().decode(frame.subarray(1)))
  })
  socket.addEventListener('close', (event) => {
    if (reason || event.reason || event.code === PLAIN_END) ended(reason || event.reason)
    else if (wasOpen) ended(t.shell.lost)
    else void whyNot(path).then(ended)
  })
  return {
    focus: () => terminal.focus(),
    text: () => {
      const { active } = terminal.buffer
      const lines = Array.from({ length: active.length }, (_, at) => active.getLine(at)?.translateToString(true) ?? '')
      return lines.join('\n').trimEnd()
    },
    recolour: () => (terminal.options.theme = colours(element)),
    close: () => {
      observer.disconnect()
      socket.close()
      terminal.dispose()
    },
  }
}

/** Browsers do not tell why a websocket was refused; the same question without one is answered in words. */
async function whyNot(path: string): Promise<string> {
  try {
    await fetchOk('GET', path)
  } catch (error) {
    // Who may is told that this takes a websocket.
    if (!(error instanceof ApiError) || error.status !== 400) return messageOf(error)
  }
  return t.shell.refused
}

function failure(text: string): string {
  try {
    const status = JSON.parse(text) as { status?: string; message?: string }
    return status.status === 'Success' ? '' : (status.message ?? text)
  } catch {
    return text
  }
}
