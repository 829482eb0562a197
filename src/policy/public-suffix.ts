/**
 * Names under which anyone can have a name: public suffixes and the domains of hosters. Pure.
 *
 * Promises: a wildcard is told apart from one that spans tenants. The Public Suffix List knows many, not all, and it
 * lists what browsers need for cookies, so the domains where a stranger can open a bucket, a function or a tunnel stand
 * here beside it.
 */

import { getPublicSuffix } from 'tldts'
import trie from 'tldts/dist/cjs/src/data/trie.js'

/** Each name is a zone where a stranger can have a host. */
const tenantZones: readonly string[] = [
  // Amazon
  'amazonaws.com amazonaws.com.cn amplifyapp.com awsapprunner.com awsglobalaccelerator.com cloudfront.net',
  'elasticbeanstalk.com on.aws',
  // Microsoft
  'azure-api.net azure.com azure.net azurecontainerapps.io azureedge.net azurefd.net azurestaticapps.net',
  'azurewebsites.net cloudapp.net core.windows.net devtunnels.ms github.dev github.io githubpreview.dev',
  'githubusercontent.com onmicrosoft.com powerapps.com sharepoint.com trafficmanager.net vsassets.io',
  // Google
  'a.run.app appspot.com cloudfunctions.net firebaseapp.com firebaseio.com firebasestorage.app googleapis.com',
  'googleusercontent.com run.app web.app withgoogle.com cloud.goog',
  // Cloudflare and other networks
  'akamaized.net b-cdn.net cdn77.org cloudflarestorage.com edgekey.net fastly.net fastlylb.net pages.dev',
  'r2.cloudflarestorage.com r2.dev trycloudflare.com workers.dev',
  // Hosters of applications, functions and files
  'aliyuncs.com backblazeb2.com codesandbox.io csb.app deno.dev deno.net digitaloceanspaces.com e2b.app fly.dev',
  'gitlab.io gitpod.io glitch.me gradio.live herokuapp.com hf.space lambdatest.io linodeobjects.com modal.run',
  'myqcloud.com neon.tech netlify.app ondigitalocean.app onrender.com oraclecloud.com oraclecloudapps.com',
  'railway.app replit.app replit.dev repl.co stackblitz.io streamlit.app supabase.co supabase.in surge.sh',
  'upstash.io val.run vercel.app vultrobjects.com wasabisys.com webcontainer.io zeabur.app',
  // Tunnels and names that resolve to whatever they say
  'bore.pub lhr.life loca.lt localhost.run localtest.me lvh.me ngrok-free.app ngrok-free.dev ngrok.app',
  'ngrok.dev ngrok.io ngrok.pizza nip.io pinggy.io pinggy.link serveo.net sslip.io tunnelmole.net xip.io',
  // Collectors of requests
  'beeceptor.com burpcollaborator.net interact.sh oast.fun oast.live oast.me oast.online oast.pro oast.site',
  'oastify.com pipedream.net requestcatcher.com webhook.site',
  // Workplaces: everyone's is a host
  'atlassian.net blogspot.com bitbucket.io force.com myshopify.com notion.site salesforce.com slack.com',
  'tumblr.com webflow.io wixsite.com wordpress.com zendesk.com',
].flatMap((line) => line.split(' '))

/** Zones whose first labels name a service or a region, not a tenant: a tenant starts that many labels further down. */
const serviceLabels: ReadonlyMap<string, number> = new Map([
  ['amazonaws.com', 2],
  ['amazonaws.com.cn', 2],
  ['azure.com', 1],
  ['azure.net', 1],
  ['core.windows.net', 1],
  ['googleapis.com', 1],
  ['oraclecloud.com', 2],
])

/** All proper ancestors of public suffixes and tenant zones: a wildcard there spans those beneath. */
const ancestors: ReadonlySet<string> = collectAncestors()
const zones: ReadonlySet<string> = new Set(tenantZones)

/**
 * Whether names below `base` (lower-case A-labels) belong to more than one owner, in words for the person who wrote the
 * wildcard; null when they do not.
 */
export function sharedSuffixAt(base: string): string | null {
  if (!base.includes('.')) return `"${base}" is a top-level domain`
  if (getPublicSuffix(base, { allowPrivateDomains: true, extractHostname: false, validateHostname: false }) === base)
    return `"${base}" is a public suffix: anyone can have a name below it`
  if (zones.has(base)) return `"${base}" belongs to a hoster: anyone can have a name below it`
  if (ancestors.has(base)) return `below "${base}" there are names that anyone can have`
  const labels = base.split('.')
  for (let i = 1; i < labels.length - 1; i++) {
    const zone = labels.slice(i).join('.')
    if (i <= (serviceLabels.get(zone) ?? 0))
      return `"${base}" is a service of "${zone}": its names belong to all its tenants`
  }
  return null
}

function collectAncestors(): ReadonlySet<string> {
  const found = new Set<string>()
  const labelAt: number[] = []
  for (let edge = 0, offset = 0; edge < trie.edgeLength.length; edge++) {
    labelAt.push(offset)
    offset += trie.edgeLength[edge] ?? 0
  }
  const visit = (node: number, name: string): void => {
    const last = trie.edgeStart[node + 1] ?? 0
    for (let edge = trie.edgeStart[node] ?? 0; edge < last; edge++) {
      if (name !== '') found.add(name)
      const start = labelAt[edge] ?? 0
      const label = trie.labelText.slice(start, start + (trie.edgeLength[edge] ?? 0))
      visit(trie.edgeChild[edge] ?? 0, name === '' ? label : `${label}.${name}`)
    }
  }
  visit(trie.rulesRoot, '')
  for (const zone of tenantZones) {
    for (let dot = zone.indexOf('.'); dot >= 0; dot = zone.indexOf('.', dot + 1)) found.add(zone.slice(dot + 1))
  }
  return found
}
