/* How OHIF finds the server that it came from; it is fetched at every start, so it may be edited.
   The server writes a line before it that says what `lenticular` is: its root, and who signs in. */
// What OHIF decodes by itself. Frames in anything else, such as JPEG XL, the server sends decoded,
// which is the last of these.
const jpeg = '1.2.840.10008.1.2.4';
const frames = [
  ['image/jpeg', `${jpeg}.50`, `${jpeg}.51`, `${jpeg}.57`, `${jpeg}.70`],
  ['image/jls', `${jpeg}.80`, `${jpeg}.81`],
  ['image/jp2', `${jpeg}.90`, `${jpeg}.91`],
  ['image/jphc', `${jpeg}.201`, `${jpeg}.202`, `${jpeg}.203`],
  ['image/dicom-rle', '1.2.840.10008.1.2.5'],
  ['application/octet-stream', '1.2.840.10008.1.2.1'],
].flatMap(([type, ...syntaxes]) =>
  syntaxes.map(syntax => `multipart/related;type="${type}";transfer-syntax=${syntax}`)
);

// A volume that is larger than the browser's graphics hold is drawn in one flat grey, without a word.
const storeVolume = WebGL2RenderingContext.prototype.texStorage3D;
WebGL2RenderingContext.prototype.texStorage3D = function (target, levels, format, ...sides) {
  const most = this.getParameter(this.MAX_3D_TEXTURE_SIZE);
  if (Math.max(...sides) > most && !document.getElementById('volume-too-large')) {
    const note = document.createElement('div');
    note.id = 'volume-too-large';
    note.textContent =
      `This series has ${Math.max(...sides)} slices, rows or columns. The graphics of this browser hold ` +
      `${most}, so it can be shown as a stack, but not in planes or in 3D. (Click to close.)`;
    note.style.cssText =
      'position:fixed;bottom:3rem;left:50%;transform:translateX(-50%);max-width:40rem;z-index:9999;' +
      'padding:.8rem 1.2rem;background:#fff3cd;color:#3b2f00;border-radius:.4rem;cursor:pointer';
    note.onclick = () => note.remove();
    document.body.append(note);
  }
  return storeVolume.call(this, target, levels, format, ...sides);
};

/** @type {AppTypes.Config} */
window.config = {
  name: 'Lenticular',
  routerBasename: `${lenticular.root}/ohif`,
  // Where the server has nobody to sign in at, the browser asks for a password, or nobody does.
  ...(lenticular.signIn && {
    oidc: [
      {
        authority: lenticular.signIn.issuer,
        client_id: lenticular.signIn.client,
        scope: lenticular.signIn.scope,
        // Some issuers give no token for an API unless it is named; the others overlook it.
        extraQueryParams: { audience: lenticular.signIn.audience },
        response_type: 'code',
        redirect_uri: '/callback',
        post_logout_redirect_uri: `${window.location.origin}${lenticular.root}/ohif`,
        // Not every issuer revokes tokens, and without one that does nobody could sign out.
        revokeAccessTokenOnSignout: false,
      },
    ],
  }),
  extensions: [],
  modes: [],
  customizationService: {},
  showStudyList: true,
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: false,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  groupEnabledModesFirst: true,
  maxNumberOfWebWorkers: 3,
  // A browser opens six connections to a server that speaks HTTP/1.1; what waits is sorted by OHIF.
  maxNumRequests: { interaction: 24, thumbnail: 6, prefetch: 12 },
  // It comes up once, and stays away when it was confirmed: OHIF is no medical device here.
  investigationalUseDialog: { option: 'configure', days: 365 },
  // Without it OHIF stumbles over any picture that cannot be had, and hides why.
  httpErrorHandler: error => console.error(error?.message ?? error),
  defaultDataSourceName: 'lenticular',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'lenticular',
      configuration: {
        friendlyName: 'Lenticular',
        name: 'lenticular',
        qidoRoot: `${lenticular.root}/dicom-web`,
        wadoRoot: `${lenticular.root}/dicom-web`,
        wadoUriRoot: `${lenticular.root}/wado`,
        qidoSupportsIncludeField: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        supportsReject: false,
        supportsStow: true,
        dicomUploadEnabled: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        staticWado: false,
        singlepart: 'bulkdata,video,pdf',
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
        omitQuotationForMultipartRequest: true,
        acceptHeader: frames,
        // All of the list comes at once, and is sorted and paged in the browser.
        queryLimit: 1000,
      },
    },
  ],
};
