/** The editor's components, loaded when first shown. */

import { defineAsyncComponent } from 'vue'

export const YamlEditor = defineAsyncComponent(() => import('./YamlEditor.vue'))
export const DiffView = defineAsyncComponent(() => import('./DiffView.vue'))
