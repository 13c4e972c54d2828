// The benches' function for workerd: JSON in, JSON out.
export default {
  async fetch(request) {
    const {name} = await request.json();
    return Response.json({hello: name});
  },
};
