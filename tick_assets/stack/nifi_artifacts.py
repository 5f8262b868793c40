"""The parts of Apache NiFi that Maven Central has: coordinates, sizes and SHA-256 hashes. No downloading here (see `provision`).

The assembly that NiFi publishes is not there, so the server is put together from its own archives. The S3 processors are those of 1.4.0:
later ones are not on Maven Central in a usable form.
"""

from __future__ import annotations

from tick_assets.stack.artifacts import MavenArtifact

NIFI_VERSION = "1.18.0"

_LIB = """
com.sun.istack istack-commons-runtime 3.0.11 jar cc3f3704ca7bf23e97653edcfc6bbcf9bfe3866b8aed7f290ae7809085d3a959 29877
javax.activation javax.activation-api 1.2.0 jar 43fdef0b5b6ceb31b0424b208b930c74ab58fac2ceeb7b3f6fd3aeb8b5ca4393 56674
javax.annotation javax.annotation-api 1.3.2 jar e04ba5195bcd555dc95650f7cc614d151e4bcd52d29a10b8aa2197f3ab89ab9b 26586
javax.servlet javax.servlet-api 3.1.0 jar af456b2dd41c4e82cf54f3e743bc678973d9fe35bd4d3071fa05c7e5333b8482 95806
javax.xml.bind jaxb-api 2.3.1 jar 88b955a0df57880a26a74708bc34f74dcaf8ebf4e78843a28b50eae945732b06 128076
org.glassfish.jaxb jaxb-runtime 2.3.3 jar 3fcbf9247b08303ecaef2b8b91b47e220b6eced843e02837a5379d011c2c623d 1035660
org.slf4j jcl-over-slf4j 1.7.36 jar ab57ca8fd223772c17365d121f59e94ecbf0ae59d08c03a3cb5b81071c019195 16555
org.eclipse.jetty.toolchain jetty-schemas 3.1 jar b58ddbe2025d80ada24409ae6e66fb2e56226538fa847d59c5df0ca7432b554e 189386
org.slf4j jul-to-slf4j 1.7.36 jar 9e641fb142c5f0b0623d6222c09ea87523a41bf6bed48ac79940724010b989de 4519
org.slf4j log4j-over-slf4j 1.7.36 jar 0a7e032bf5bcdd5b2bf8bf2e5cf02c5646f2aa6fee66933b8150dbe84e651e8a 23715
ch.qos.logback logback-classic 1.2.11 jar 4d8e899621a3006c2f66e19feab002b11e6cfc5cb1854fc41f01532c00deb2aa 231851
ch.qos.logback logback-core 1.2.11 jar 6ce1e9397be8298a2e99029f55f955c6fa3cef255171c554d0b9c201cffd0159 448764
org.apache.nifi nifi-api 1.18.0 jar 47209ab0804602a99e4d069d39cb9732fec5cf16e9ee156a3995a0329c82c66e 267993
org.apache.nifi nifi-aws-nar 1.4.0 nar 895ec9c109faa29b1818f1dad5768f6326341209bf65e3a3f45c8f1953b31531 63451365
org.apache.nifi nifi-framework-api 1.18.0 jar 86bf4536b4ce439c27934e46bef5ed1e9db7a6d63ed4d1635eaeab6c310af309 153232
org.apache.nifi nifi-framework-nar 1.18.0 nar bbecd0f1063df4dafb26e8b93b282aa1d83dcda985b556a47685dfe1800ef7db 71817182
org.apache.nifi nifi-jetty-bundle 1.18.0 nar 750a476cfc1f5f6ad35fb522121f7606f03b07aa1c1ef6781309d26b2357ca4b 7292414
org.apache.nifi nifi-nar-utils 1.18.0 jar d198c30e29aa04fb8ebb033f465fcb272fb7333f14de5b38473c65d3fdd82e4b 52131
org.apache.nifi nifi-properties 1.18.0 jar 3e598d27d6ae355bf7612828bead4fc70a489a5b3f13fd12ba27faff1e65b293 35213
org.apache.nifi nifi-property-utils 1.18.0 jar 13b489a316d827c03b70080423c4c4cc9b8b0ab2333a7f9c48ea9f45f567c70b 17160
org.apache.nifi nifi-provenance-repository-nar 1.18.0 nar 15ee94a05b4f1cec21d131c82bb96a518479dde80f7e0ed0cb4abc76e5427031 13967845
org.apache.nifi nifi-runtime 1.18.0 jar 8cc29eba7243ba649e70a7162e626fb4a4f7635e2faa85c6197ed0b8d1c1cc19 40509
org.apache.nifi nifi-server-api 1.18.0 jar 6783c2f1291e752efbbe6303fd908f7c5faa1b77ebc873a217287c05bceb0693 10503
org.apache.nifi nifi-server-nar 1.18.0 nar ad5303b5fd1507c955945bac7f5f3cce441e90c6fd6931d24a7d7722461a83e1 25811219
org.apache.nifi nifi-standard-nar 1.18.0 nar 1598b5d614f2bf5fe727e4f7d58dc093a5fb0114ef7a07e5cde2c839d1f3e131 83086216
org.apache.nifi nifi-standard-services-api-nar 1.18.0 nar 888dcf9f97c5a5f0cbfab1ed2a76bda47c4f90aca46ae13e7613f10676f96fc7 425246
org.apache.nifi nifi-standard-services-api-nar 1.4.0 nar 6f71c2a721a557a8a576af5db8c9915bea90634fa75729658c083444a09098cc 1622055
org.apache.nifi nifi-stateless-api 1.18.0 jar d1f06d290e91aeb33eff859ef976b2aa4ec3e55ad6515db9d982834469d936c5 34575
org.slf4j slf4j-api 1.7.36 jar d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0 41125
org.glassfish.jaxb txw2 2.3.3 jar 97de89031348fced8d8d58b9c288c2185ab07bedc7a591f070377c45ddb05fee 71976
"""
_BOOTSTRAP = """
org.apache.nifi nifi-properties-loader 1.18.0 jar 82b64121b845c8314f84d57e46c5c506e162945062701f4e591ae9903c56b5d8 16567
org.apache.nifi nifi-property-protection-api 1.18.0 jar 192fb78f46cec69bea1a77993ba2bbc8d3a08d9afc03cd92a81a06d7ea389230 10747
org.apache.nifi nifi-property-protection-factory 1.18.0 jar 5eac5262a051059ddfc14f1cf6a1d77ea4fcee5332001f74c05ba67255f306db 21233
org.apache.nifi nifi-property-protection-loader 1.18.0 jar 1a0403b50651353f7c6aee02772ce369ac243ac682d13677d022b307f3f14984 16916
org.apache.nifi nifi-property-protection-shared 1.18.0 jar 794faf5844889d268e38763c363c01a708ff7f2fb63877151a582549a2066284 12885
org.apache.nifi nifi-property-utils 1.18.0 jar 13b489a316d827c03b70080423c4c4cc9b8b0ab2333a7f9c48ea9f45f567c70b 17160
org.apache.nifi nifi-security-utils-api 1.18.0 jar c41a47fe8430cb72ec029dfb77b18154e36cff21ee8b4d4b6bd2548379408e32 15283
org.apache.nifi nifi-utils 1.18.0 jar 92544f60b29d6a5a2fe1114b215674d3caa9df8e55e6b4fd19ec2cb847ce4b63 179682
"""
"""One artifact a line: group, name, version, packaging, SHA-256, bytes."""


def _parse(lines: str) -> tuple[MavenArtifact, ...]:
    rows = (line.split() for line in lines.strip().splitlines())
    return tuple(MavenArtifact(group, name, version, kind, sha256, int(size)) for group, name, version, kind, sha256, size in rows)


NIFI_LIB = _parse(_LIB)
NIFI_BOOTSTRAP = _parse(_BOOTSTRAP)
