// The ES module that a generic process rehearses with: see ../rehearse.js.
export const initializer = async (context) => context.region;
