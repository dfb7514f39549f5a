/**
 * Lets the libraries of this page write styles under its security policy.
 *
 * The terminal makes `<style>` elements at run time and knows no nonces. An
 * element that our own scripts make gets the nonce of the page; markup that
 * found its way into the page still does not have it.
 */
export function allowStyles(): void {
  const nonce = document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce
  if (!nonce) return
  const create = document.createElement.bind(document)
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = create(name, options)
    if (element instanceof HTMLStyleElement) element.nonce = nonce
    return element
  }) as typeof document.createElement
}
