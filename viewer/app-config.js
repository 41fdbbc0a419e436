/* How OHIF finds the server that it came from; it is fetched at every start, so it may be edited.
   The server writes a line before it that says what `lenticular` is: its root, and who signs in. */
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
      },
    },
  ],
};
