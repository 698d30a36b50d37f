# Fetches what formatter.xml names to /, by Ivy.
set -eu

# Java does not read the variables of proxies: USER:PASSWORD@HOST:PORT, behind a scheme, becomes properties.
proxy=${HTTPS_PROXY:-${https_proxy:-${ALL_PROXY:-${all_proxy:-}}}}
if [ -n "$proxy" ]; then
  proxy=${proxy#*://}
  proxy=${proxy%%/*}
  address=${proxy##*@}
  case $address in
    *:*) port=${address##*:} ;;
    *) port=80 ;;
  esac
  # No password is kept from a proxy, and it may be asked for one before TLS begins.
  set -- "-Dhttps.proxyHost=${address%:*}" "-Dhttps.proxyPort=$port" -Djdk.http.auth.tunneling.disabledSchemes=
  case $proxy in
    *@*)
      user=${proxy%@*}
      set -- "$@" "-Dhttp.proxyUser=${user%%:*}" "-Dhttp.proxyPassword=${user#*:}"
      ;;
  esac
fi

java "$@" -jar /usr/share/java/ivy.jar -warn -ivy /formatter.xml -retrieve '/[artifact].[ext]' || {
  echo "Maven Central can't be used: behind a proxy, or where TLS is inspected, see docs/deploy.md" >&2
  exit 1
}
